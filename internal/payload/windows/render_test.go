package windows_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/payload/windows"
	"github.com/kubemdm/kubemdm/test/golden"
)

const (
	lockTimeout = "./Device/Vendor/MSFT/Policy/Config/DeviceLock/MaxInactivityTimeDeviceLock"
	wallpaper   = "./User/Vendor/MSFT/Personalization/DesktopImageUrl"
)

var (
	exported  = v1alpha1.KeyReference{Name: "exported", Key: "syncml"}
	vpnSecret = v1alpha1.KeyReference{Name: "vpn", Key: "password"}
	pfx       = v1alpha1.KeyReference{Name: "vpn", Key: "client.pfx"}
)

var sources = content.Sources{
	ConfigMaps: map[v1alpha1.KeyReference][]byte{exported: []byte(one(lockTimeout, "int", "15"))},
	Secrets: map[v1alpha1.KeyReference][]byte{
		vpnSecret: []byte("correct <horse> & battery\n"),
		pfx:       {0x30, 0x82, 0x00, 0xff},
		exported:  []byte(one(lockTimeout, "int", "15")),
	},
}

// one is a document with one command.
func one(uri, format, data string) string {
	return "<Replace><Item><Target><LocURI>" + uri + "</LocURI></Target><Meta><Format>" + format + "</Format></Meta><Data>" + data + "</Data></Item></Replace>"
}

func settings(all ...v1alpha1.WindowsSetting) *v1alpha1.Profile {
	return of(v1alpha1.WindowsProfile{Type: v1alpha1.WindowsSettings, Settings: all})
}

// setting has the defaults of the API.
func setting(uri string, format v1alpha1.SettingFormat, value string) v1alpha1.WindowsSetting {
	return v1alpha1.WindowsSetting{LocURI: uri, Format: format, Value: &value, Verification: v1alpha1.VerifyValue}
}

func secret(uri string, format v1alpha1.SettingFormat, ref v1alpha1.KeyReference) v1alpha1.WindowsSetting {
	return v1alpha1.WindowsSetting{LocURI: uri, Format: format, ValueFrom: &v1alpha1.SettingValueSource{SecretRef: ref}, Verification: v1alpha1.VerifyValue}
}

func inline(text string) *v1alpha1.Profile { return syncML(v1alpha1.ContentSource{Inline: text}) }

func syncML(source v1alpha1.ContentSource) *v1alpha1.Profile {
	return of(v1alpha1.WindowsProfile{
		Type: v1alpha1.WindowsSyncML, SyncML: &v1alpha1.SyncMLProfile{ContentSource: source, Verification: v1alpha1.VerifyValue},
	})
}

func of(source v1alpha1.WindowsProfile) *v1alpha1.Profile {
	return &v1alpha1.Profile{
		ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "office"},
		Spec:       v1alpha1.ProfileSpec{Scope: v1alpha1.ProfileScopeSystem, Windows: &source},
	}
}

func ofUser(p *v1alpha1.Profile) *v1alpha1.Profile {
	p.Spec.Scope = v1alpha1.ProfileScopeUser
	return p
}

// profiles are the ones whose rendering is kept as golden files.
func profiles(t testing.TB) map[string]*v1alpha1.Profile {
	exportedByTool, err := os.ReadFile("testdata/exported.xml")
	if err != nil {
		t.Fatal(err)
	}
	believed := setting("./Device/Vendor/MSFT/BitLocker/RequireDeviceEncryption", v1alpha1.FormatInteger, "1")
	believed.Verification, believed.MIMEType = v1alpha1.VerifyStatus, "text/plain"
	byStatus := inline(one(lockTimeout, "int", "15"))
	byStatus.Spec.Windows.SyncML.Verification = v1alpha1.VerifyStatus
	return map[string]*v1alpha1.Profile{
		"exported": inline(string(exportedByTool)),
		"user":     ofUser(settings(setting(wallpaper, v1alpha1.FormatText, "https://example.com/a.png?b=c&d"))),
		"status":   byStatus,
		"formats": settings(
			setting("./Vendor/MSFT/A/chr", v1alpha1.FormatText, " as <it> is\n"),
			setting("./Vendor/MSFT/A/int", v1alpha1.FormatInteger, " 007 "),
			setting("./Vendor/MSFT/A/unsigned", v1alpha1.FormatInteger, "4294967295"),
			setting("./Vendor/MSFT/A/bool", v1alpha1.FormatBoolean, "true"),
			setting("./Vendor/MSFT/A/b64", v1alpha1.FormatBase64, "AAEC\nAwQF"),
			setting("./Vendor/MSFT/A/bin", v1alpha1.FormatBinary, "AAEC"),
			setting("./Vendor/MSFT/A/xml", v1alpha1.FormatXML, "<enabled/>\n<data id='x' value='1'/>"),
			v1alpha1.WindowsSetting{LocURI: "./Vendor/MSFT/A/node", Format: v1alpha1.FormatNode},
			v1alpha1.WindowsSetting{LocURI: "./Vendor/MSFT/A/null", Format: v1alpha1.FormatNull},
			setting("./Vendor/MSFT/A/date", v1alpha1.FormatDate, "2026-11-21"),
			setting("./Vendor/MSFT/A/time", v1alpha1.FormatTime, "13:45:00"),
			setting("./Vendor/MSFT/A/float", v1alpha1.FormatFloat, "-1.5"),
			believed,
		),
		"secrets": settings(
			secret("./Device/Vendor/MSFT/VPNv2/Office%20Bern/PluginProfile/CustomConfiguration", v1alpha1.FormatText, vpnSecret),
			secret("./Device/Vendor/MSFT/ClientCertificateInstall/PFXCertInstall/%7Bvpn%7D/PFXCertBlob", v1alpha1.FormatBase64, pfx),
		),
	}
}

func TestRender(t *testing.T) {
	for name, profile := range profiles(t) {
		t.Run(name, func(t *testing.T) {
			got := render(t, profile)
			text := []byte("identifier " + got.Identifier + "\ndigest " + got.Digest + "\n")
			var readable bytes.Buffer
			if err := json.Indent(&readable, got.Template, "", "  "); err != nil {
				t.Fatal(err)
			}
			readable.WriteByte('\n')
			compare(t, name, append(text, readable.Bytes()...))
		})
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	golden.Check(t, filepath.Join("testdata", name+".golden"), got) // another result applies profiles again on every device
}

// A restored cluster has new UIDs, resource versions and times, and must apply nothing again.
func TestRenderIsDurable(t *testing.T) {
	for name, profile := range profiles(t) {
		restored := profile.DeepCopy()
		restored.UID, restored.ResourceVersion, restored.Generation = types.UID("another"), "99", 7
		restored.CreationTimestamp = metav1.Now()
		restored.Labels = map[string]string{"restored": "true"}
		if a, b := render(t, profile), render(t, restored); a.Digest != b.Digest || a.Identifier != b.Identifier {
			t.Errorf("%s: %s %s became %s %s", name, a.Identifier, a.Digest, b.Identifier, b.Digest)
		}
	}
}

func TestDigestFollowsTheContent(t *testing.T) {
	before := render(t, profiles(t)["secrets"]).Digest
	rotated := content.Sources{Secrets: map[v1alpha1.KeyReference][]byte{vpnSecret: []byte("another"), pfx: sources.Secrets[pfx]}}
	after, err := windows.Render(profiles(t)["secrets"], rotated)
	if err != nil || after.Digest == before {
		t.Errorf("a new value of a Secret: %v, digest %v", err, after)
	}
	lenient := profiles(t)["secrets"]
	lenient.Spec.Windows.Settings[0].Verification = v1alpha1.VerifyStatus
	if render(t, lenient).Digest == before {
		t.Error("another verification has the same digest")
	}
}

func TestSourcesOfSyncML(t *testing.T) {
	want := render(t, inline(one(lockTimeout, "int", "15")))
	for name, source := range map[string]v1alpha1.ContentSource{"ConfigMap": {ConfigMapRef: &exported}, "Secret": {SecretRef: &exported}} {
		p := syncML(source)
		if got := render(t, p); got.Digest != want.Digest {
			t.Errorf("%s: digest %s, inline %s", name, got.Digest, want.Digest)
		}
		refs := windows.References(p)
		if all := append(refs.ConfigMaps, refs.Secrets...); !slices.Equal(all, []v1alpha1.KeyReference{exported}) {
			t.Errorf("%s: refers to %v", name, refs)
		}
	}
	if refs := windows.References(profiles(t)["secrets"]); !slices.Equal(refs.Secrets, []v1alpha1.KeyReference{vpnSecret, pfx}) {
		t.Errorf("settings refer to %v", refs)
	}
}

// A document may be whole, a body or bare commands; tools of Windows begin it with a byte order mark.
func TestFormsOfADocument(t *testing.T) {
	command := one(lockTimeout, "int", "15")
	want := render(t, inline(command)).Digest
	for _, text := range []string{
		"<SyncBody>" + command + "<Final/></SyncBody>",
		"<SyncML xmlns='SYNCML:SYNCML1.2'><SyncHdr><MsgID>1</MsgID></SyncHdr><SyncBody>" + command + "</SyncBody></SyncML>",
		"\uFEFF<?xml version='1.0'?>\r\n<!-- exported -->\r\n" + command,
		strings.Replace(command, "<Item>", "<CmdID>7</CmdID><Item>", 1),
	} {
		if got := render(t, inline(text)).Digest; got != want {
			t.Errorf("rendered otherwise: %s", text)
		}
	}
	two := render(t, inline(command+command))
	if n := strings.Count(string(two.Template), lockTimeout); n != 2 {
		t.Errorf("%d of two commands", n)
	}
}

func render(t testing.TB, p *v1alpha1.Profile) *content.Rendered {
	t.Helper()
	r, err := windows.Render(p, sources)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
