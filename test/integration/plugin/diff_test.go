package plugin

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// pipeline applies what is in Git. Somebody else labels by hand, and the operator writes what it does.
const pipeline = "kustomize-controller"

const wifi = `apiVersion: mdm.kubemdm.io/v1alpha1
kind: Profile
metadata:
  name: wifi
  labels: {app: wifi}
spec:
  serverRef: {name: mdm}
  selector: {matchLabels: {team: design}}
  excludeSelector: {matchLabels: {kiosk: "true"}}
  apple:
    type: Mobileconfig
    mobileconfig: {configMapRef: {name: wifi, key: profile}}
`

const ana = `apiVersion: mdm.kubemdm.io/v1alpha1
kind: Device
metadata:
  name: ana
  labels: {team: design, floor: "2"}
spec:
  serverRef: {name: mdm}
  serialNumber: S1
`

// apply is what a pipeline does.
func apply(t *testing.T, manager, manifest string) {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatal(err)
	}
	u.SetNamespace(namespace)
	err := api.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(manager))
	if err != nil {
		t.Fatal(err)
	}
}

// enrol has a device enrol: its Device is the operator's to write.
func enrol(t *testing.T, name string) {
	t.Helper()
	d := &mdmv1alpha1.Device{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, d); err != nil {
		t.Fatal(err)
	}
	d.Status.Platform = mdmv1alpha1.PlatformApple
	d.Status.Enrollment = &mdmv1alpha1.DeviceEnrollment{ID: "e", State: mdmv1alpha1.EnrollmentEnrolled}
	if err := api.Status().Update(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	patch := []byte(`{"metadata":{"labels":{"by-hand":"yes"}}}`)
	if err := api.Patch(t.Context(), d, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner("kubectl-label")); err != nil {
		t.Fatal(err)
	}
	apply(t, "kubemdm-token-labels", "apiVersion: mdm.kubemdm.io/v1alpha1\nkind: Device\nmetadata:\n  name: "+name+"\n  labels: {token: t}\n")
}

// What the API server says of a change is what the plugin says to those who may only read, and nothing is changed by either.
func TestDiff(t *testing.T) {
	apply(t, pipeline, wifi)
	apply(t, pipeline, ana)
	enrol(t, "ana")
	replace := func(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }
	for name, tc := range map[string]struct {
		manifest, want string
		err            string
	}{
		"nothing":              {wifi + "---\n" + ana, "", ""},
		"a label that is gone": {replace(ana, `, floor: "2"`, ""), "~ Device fleet/ana changed (-:1)\n    metadata.labels.floor: \"2\" → (absent)\n", ""},
		"another team": {replace(ana, "team: design", "team: sales"),
			"~ Device fleet/ana changed (-:1)\n    metadata.labels.team: \"design\" → \"sales\"\n    loses the Profiles wifi\n" +
				"~ Profile fleet/wifi stays as it is, and labels of devices change\n    1 device loses it: ana\n", ""},
		"a selector as a whole": {replace(wifi, "matchLabels: {team: design}", "matchExpressions: [{key: team, operator: Exists}]"),
			"~ Profile fleet/wifi changed (-:1)\n    spec.selector.matchExpressions: (absent) → [{\"key\":\"team\",\"operator\":\"Exists\"}]\n" +
				"    spec.selector.matchLabels: {\"team\":\"design\"} → (absent)\n    1 device keeps it as it is: ana\n", ""},
		"a field that is gone": {replace(wifi, "  excludeSelector: {matchLabels: {kiosk: \"true\"}}\n", ""),
			"~ Profile fleet/wifi changed (-:1)\n    spec.excludeSelector: {\"matchLabels\":{\"kiosk\":\"true\"}} → (absent)\n    1 device keeps it as it is: ana\n", ""},
		"a default that is said": {replace(wifi, "serverRef:", "deletionPolicy: Remove\n  serverRef:"), "", ""},
		"a new one":              {replace(wifi, "name: wifi", "name: vpn"), "+ Profile fleet/vpn new (-:1)\n    1 device gains it: ana\n", ""},
		"an immutable field":     {replace(ana, "S1", "S2"), "✗ Device fleet/ana refused (-:1)\n", "1 object would be refused"},
		"an unknown field":       {replace(ana, "serialNumber", "serial"), "✗ Device fleet/ana refused (-:1)\n", "1 object would be refused"},
		"a rule":                 {replace(wifi, "apple:", "windows: {settings: []}\n  apple:"), "✗ Profile fleet/wifi refused (-:1)\n", "1 object would be refused"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, user := range []string{admin, reader} {
				out, notes, ok := mdm(t, user, tc.manifest, "diff", "-")
				if ok != (tc.err == "") || !strings.Contains(notes, tc.err) {
					t.Fatalf("as %s: %v\n%s%s", user, ok, out, notes)
				}
				if tc.err == "" && out != tc.want || !strings.HasPrefix(out, tc.want) {
					t.Errorf("as %s it is\n%s%s", user, out, notes)
				}
				if offline := strings.Contains(notes, "You may not apply all of this"); offline != (user == reader) {
					t.Errorf("as %s: %s", user, notes)
				}
			}
		})
	}
	out, _, ok := mdm(t, admin, wifi+"---\n"+ana, "diff", "--exit-code", "-")
	if !ok || out != "" {
		t.Errorf("it changed what it looked at:\n%s", out)
	}
}
