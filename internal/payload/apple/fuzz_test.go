package apple_test

import (
	"bytes"
	"testing"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/apple"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// Whatever is rendered can be rendered again and then changes no more: Render is its own normal form.
func FuzzRenderMobileconfig(f *testing.F) {
	f.Add(minimal)
	f.Add(string(render(f, profiles(f)["exported"]).Template))
	f.Add(string(render(f, profiles(f)["values"]).Template))
	f.Fuzz(func(t *testing.T, text string) {
		once, err := apple.Render(inline(text), content.Sources{})
		if err != nil {
			return
		}
		twice, err := apple.Render(inline(string(once.Template)), content.Sources{})
		if err != nil {
			t.Fatalf("cannot read its own output: %v", err)
		}
		if !bytes.Equal(once.Template, twice.Template) || once.Digest != twice.Digest {
			t.Errorf("first\n%s\nthen\n%s", once.Template, twice.Template)
		}
	})
}

func FuzzRenderPayloads(f *testing.F) {
	f.Add(`{"a": [1, -1, 1.5, true, {"$data": "AAEC"}]}`, "/a/0", []byte("secret"))
	f.Add(`{}`, "/a/b~1c", []byte{0xff})
	f.Fuzz(func(t *testing.T, json, path string, secret []byte) {
		profile := typed(v1alpha1.Payload{
			Type: "com.example.any", Settings: settings(json),
			SecretValues: []v1alpha1.SecretValue{{Path: "/" + path, SecretRef: wifiPassword}},
		})
		first, err := apple.Render(profile, content.Sources{Secrets: map[v1alpha1.KeyReference][]byte{wifiPassword: secret}})
		if err != nil {
			return
		}
		// What a device gets is a configuration profile that passes every check itself.
		if _, err := apple.Render(inline(string(first.Template)), content.Sources{}); err != nil {
			t.Errorf("%v in\n%s", err, first.Template)
		}
	})
}
