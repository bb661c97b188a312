package gitops

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

const (
	// gitops is who applies.
	gitops = "gitops"
	// labels and Apple's lists are applied to Devices by these.
	tokenLabels = "kubemdm-token-labels"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// build is what kustomize makes of a folder.
func build(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=go.tools.mod", "kustomize", "build", folder)
	cmd.Dir = root
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", folder, err, stderr)
	}
	return decode(t, string(out))
}

func decode(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var found []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return found
		}
		must(t, err)
		if len(u.Object) > 0 {
			found = append(found, u)
		}
	}
}

func ours(u *unstructured.Unstructured) bool {
	return u.GroupVersionKind().Group == mdmv1alpha1.GroupVersion.Group
}

// apply applies a manifest as Flux and Argo CD do, but never by force, and with no field that the API server does not know. It returns what became of it.
func apply(ctx context.Context, manifest *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live := manifest.DeepCopy()
	config := client.ApplyConfigurationFromUnstructured(live)
	err := api.Apply(ctx, config, client.FieldOwner(gitops))
	return live, err
}

// TestAppliedTwice applies each sample, and each object of the example repository, and again after the controllers have written what they write: into the
// status, and finalizers and labels into the metadata. The second time is no change at all.
func TestAppliedTwice(t *testing.T) {
	for folder, namespace := range map[string]string{
		"config/samples": "samples", "docs/examples/gitops/clusters/onprem": "mdm", "docs/examples/gitops/clusters/lab": "mdm-lab",
	} {
		t.Run(namespace, func(t *testing.T) {
			var manifests []*unstructured.Unstructured
			for _, u := range build(t, folder) {
				if ours(u) {
					u.SetNamespace(namespace)
					manifests = append(manifests, u)
				}
			}
			for _, u := range manifests {
				_, err := apply(t.Context(), u)
				must(t, err)
			}
			for _, u := range manifests {
				written(t, u)
				if u.GetKind() == "Device" {
					label(t, u)
				}
				again(t, u)
			}
		})
	}
}

// written waits until a controller has written the status of the object's generation.
func written(t *testing.T, manifest *unstructured.Unstructured) {
	t.Helper()
	live := manifest.DeepCopy()
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		if err := api.Get(ctx, client.ObjectKeyFromObject(manifest), live); err != nil {
			return false, err
		}
		observed, _, err := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
		return observed == live.GetGeneration(), err
	})
	if err != nil {
		t.Fatalf("waiting until %s %s has a status: %v", manifest.GetKind(), manifest.GetName(), err)
	}
}

// label does what the controllers of Devices do after an enrolment with a token.
func label(t *testing.T, manifest *unstructured.Unstructured) {
	t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(manifest.GroupVersionKind())
	u.SetNamespace(manifest.GetNamespace())
	u.SetName(manifest.GetName())
	u.SetLabels(map[string]string{"example.com/floor": "3"})
	must(t, api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(tokenLabels)))
}

// again applies a manifest once more. Another write of a controller may come in between; an apply that always writes is seen by it never being equal.
func again(t *testing.T, manifest *unstructured.Unstructured) {
	t.Helper()
	var difference string
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 5*time.Second, true, func(ctx context.Context) (bool, error) {
		before := manifest.DeepCopy()
		if err := api.Get(ctx, client.ObjectKeyFromObject(manifest), before); err != nil {
			return false, err
		}
		after, err := apply(ctx, manifest)
		if err != nil {
			return false, err
		}
		difference = fmt.Sprintf("before:\n%v\nafter:\n%v", before.Object["metadata"], after.Object["metadata"])
		return before.GetResourceVersion() == after.GetResourceVersion() && before.GetGeneration() == after.GetGeneration(), nil
	})
	if err != nil {
		t.Errorf("%s %s, applied again: %v\n%s", manifest.GetKind(), manifest.GetName(), err, difference)
	}
}

// A new object says that nobody has looked at it yet, so that whoever waits by kstatus does not take it for done.
func TestANewObjectIsNotCurrent(t *testing.T) {
	for _, u := range build(t, "config/samples") {
		if !ours(u) {
			continue
		}
		u.SetNamespace("dirty")
		u.SetName("new-" + u.GetName())
		u.SetAnnotations(map[string]string{mdmv1alpha1.AnnotationPaused: "true"})
		_, err := apply(t.Context(), u)
		must(t, err)
		live := u.DeepCopy()
		must(t, api.Get(t.Context(), client.ObjectKeyFromObject(u), live))
		if observed, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration"); observed != -1 {
			t.Errorf("%s: observedGeneration is %d", u.GetKind(), observed)
		}
	}
}

// dirty are manifests with a mistake, and what the API server says about it.
var dirty = map[string]struct{ manifest, complaint string }{
	"a field that does not exist": {`
kind: Profile
metadata: {name: one}
spec: {serverRef: {name: mdm}, selektor: {}, apple: {type: Mobileconfig, mobileconfig: {inline: x}}}
`, "selektor"},
	"two members of a union": {`
kind: Profile
metadata: {name: two}
spec: {serverRef: {name: mdm}, selector: {}, apple: {type: Mobileconfig, mobileconfig: {configMapRef: {name: a, key: b}}}, windows: {type: Settings, settings: [{locURI: ./a, format: int, value: "1"}]}}
`, "exactly one of"},
	"a member that is not the discriminator's": {`
kind: MDMServer
metadata: {name: three}
spec: {host: mdm.example.com, organization: Example, apple: {}, tls: {type: Issuer}}
`, "issuerRef is required with type Issuer"},
	"an enum's value that does not exist": {`
kind: EnrollmentToken
metadata: {name: four}
spec: {serverRef: {name: mdm}, platforms: [Android]}
`, `"Android"`},
	"no target": {`
kind: DeviceCommand
metadata: {name: five}
spec: {serverRef: {name: mdm}, action: {type: Restart}}
`, "target"},
	"a field of the status for a field of the spec": {`
kind: Device
metadata: {name: six}
spec: {serverRef: {name: mdm}, serialNumber: C02XK1ABJGH5, enrollment: {}}
`, "enrollment"},
}

// A dirty manifest is refused before anything of it is stored, and the message names the place.
func TestDirtyManifestsAreRefused(t *testing.T) {
	for name, c := range dirty {
		t.Run(name, func(t *testing.T) {
			manifest := decode(t, c.manifest)[0]
			manifest.SetAPIVersion(mdmv1alpha1.GroupVersion.String())
			manifest.SetNamespace("dirty")
			_, err := apply(t.Context(), manifest)
			if err == nil || !strings.Contains(err.Error(), c.complaint) {
				t.Errorf("the API server answers: %v", err)
			}
		})
	}
}
