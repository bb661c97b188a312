package diff_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/diff"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doingtest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/test/golden"
)

// pipeline owns what is in Git.
const pipeline = "kustomize-controller"

// applied says that a pipeline has applied fields of an object.
func applied[O client.Object](o O, manager, fields string) O {
	at := looktest.Ago(0)
	o.SetManagedFields(append(o.GetManagedFields(), metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationApply, APIVersion: mdmv1alpha1.GroupVersion.String(), Time: &at, FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(fields),
	}))
	return o
}

func device(name, team string) *mdmv1alpha1.Device {
	d := looktest.Device(name, "S-"+name, mdmv1alpha1.PlatformApple)
	d.Labels = map[string]string{"team": team}
	d.Spec.DeletionPolicy = mdmv1alpha1.DeviceRetain
	return applied(d, pipeline, `{"f:metadata":{"f:labels":{"f:team":{}}},"f:spec":{"f:serialNumber":{},"f:serverRef":{"f:name":{}}}}`)
}

func profile(name, team string) *mdmv1alpha1.Profile {
	p := &mdmv1alpha1.Profile{ObjectMeta: looktest.Meta(name)}
	p.Spec = mdmv1alpha1.ProfileSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: "berlin"}, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}},
		Scope: mdmv1alpha1.ProfileScopeSystem, DeletionPolicy: mdmv1alpha1.ProfileRemove, Removal: mdmv1alpha1.ProfileRemoval{MaxPercent: new(int32(10))},
		Apple: &mdmv1alpha1.AppleProfile{Type: mdmv1alpha1.AppleMobileconfig, Mobileconfig: &mdmv1alpha1.ContentSource{
			ConfigMapRef: &mdmv1alpha1.KeyReference{Name: name, Key: "profile"},
		}},
	}
	return p
}

// manifest of an object that a pipeline would apply.
func manifest(kind, name, labels, spec string) string {
	text := "apiVersion: mdm.kubemdm.io/v1alpha1\nkind: " + kind + "\nmetadata:\n  name: " + name + "\n"
	if labels != "" {
		text += "  labels: {" + labels + "}\n"
	}
	return text + "spec:\n  " + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + "\n---\n"
}

func profileManifest(name, selector string) string {
	return manifest("Profile", name, "", fmt.Sprintf("serverRef: {name: berlin}\nselector: {%s}\napple:\n  type: Mobileconfig\n  mobileconfig: {configMapRef: {name: %s, key: profile}}", selector, name))
}

func deviceManifest(name, labels string) string {
	return manifest("Device", name, labels, "serverRef: {name: berlin}\nserialNumber: S-"+name)
}

// reader is a person, or a pipeline, who may not apply: the schema of the plugin judges.
func reader(t *testing.T, objects ...client.Object) *doingtest.World {
	w := doingtest.New(t, objects...)
	w.Fail = func(verb, _, name string) error {
		if verb == "apply" {
			return apierrors.NewForbidden(schema.GroupResource{Group: "mdm.kubemdm.io", Resource: "profiles"}, name, errors.New("no right"))
		}
		return nil
	}
	return w
}

// fleet has 30 devices of design and 5 of sales, and the Profiles wifi for design and vpn for sales.
func fleet() []client.Object {
	objects := []client.Object{profile("wifi", "design"), profile("vpn", "sales")}
	for i := range 30 {
		objects = append(objects, device(fmt.Sprintf("d%02d", i), "design"))
	}
	for i := range 5 {
		objects = append(objects, device(fmt.Sprintf("s%d", i), "sales"))
	}
	return objects
}

type report struct {
	Changes []diff.Change
	Follows []diff.Follower
	Notes   []string
}

// run returns the report on manifests.
func run(t *testing.T, w *doingtest.World, manifests ...string) report {
	t.Helper()
	w.In = strings.Join(manifests, "")
	w.WantError(w.Run(diff.Command, "-o", "json", "-"))
	var r report
	if err := json.Unmarshal(w.Out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatPeopleSee(t *testing.T) {
	w := reader(t, fleet()...)
	w.In = profileManifest("wifi", "matchLabels: {team: sales}") + profileManifest("vpn", "matchLabels: {team: sales}") +
		profileManifest("new", "") + deviceManifest("s0", "team: design") + deviceManifest("unpacked", "team: sales") +
		manifest("DeviceCommand", "restart-all", "", "serverRef: {name: berlin}\ntarget: {selector: {}}\naction: {type: Restart}") +
		manifest("EnrollmentToken", "sales", "", "serverRef: {name: berlin}\nplatforms: [Apple]\nlabels: {team: sales}")
	w.WantError(w.Run(diff.Command, "-"))
	golden.Check(t, "testdata/people.txt", w.Out.Bytes())
	w.WantNotes("Note: You may not apply all of this", "7 objects: 4 new, 2 changed, 1 unchanged, 0 refused\n")
	w.Colour = true
	w.WantError(w.Run(diff.Command, "--all", "-"))
	golden.Check(t, "testdata/people-all.txt", w.Out.Bytes())
}

func TestNothingChanges(t *testing.T) {
	w := reader(t, fleet()...)
	w.In = profileManifest("wifi", "matchLabels: {team: design}") + deviceManifest("d00", "team: design")
	w.WantError(w.Run(diff.Command, "--exit-code", "-"))
	if w.Out.Len() > 0 {
		t.Errorf("%s", &w.Out)
	}
	w.WantNotes("2 objects: 0 new, 0 changed, 2 unchanged, 0 refused")
	w.In = deviceManifest("d00", "team: sales")
	w.WantError(w.Run(diff.Command, "-"))
	w.WantError(w.Run(diff.Command, "--exit-code", "-"), "there are differences")
}

// effect checks an Effect by its numbers.
func effect(t *testing.T, what string, e *diff.Effect, gain, keep, lose, awaited int, held bool) {
	t.Helper()
	if e == nil || len(e.Gain) != gain || len(e.Keep) != keep || len(e.Lose) != lose || len(e.Awaited) != awaited || e.Held != held {
		t.Errorf("%s: %+v, want %d gain, %d keep, %d lose, %d awaited, held %v", what, e, gain, keep, lose, awaited, held)
	}
}

func TestSelectorChanges(t *testing.T) {
	pc, paused, other, leaving, rival := device("pc", "sales"), device("paused", "sales"), device("other", "sales"), device("leaving", "sales"), device("rival", "sales")
	pc.Status.Platform = mdmv1alpha1.PlatformWindows
	paused.Annotations = map[string]string{mdmv1alpha1.AnnotationPaused: "true"}
	other.Spec.ServerRef.Name = "oslo"
	leaving.Status.Enrollment.State = mdmv1alpha1.EnrollmentEnded
	looktest.With(rival, looktest.Not(mdmv1alpha1.DeviceMatched, mdmv1alpha1.DeviceDuplicateIdentity, "another one was first"))
	objects := append(fleet(), pc, paused, other, leaving, rival)
	r := run(t, reader(t, objects...), profileManifest("wifi", "matchLabels: {team: sales}"))
	effect(t, "another team", r.Changes[0].Devices, 5, 0, 30, 1, true)
	if c := r.Changes[0]; c.State != diff.Changed || c.Devices.Updated || len(c.Fields) != 1 || c.Fields[0].Path != "spec.selector.matchLabels.team" ||
		!strings.Contains(c.Warnings[0], "the removal guard would hold: 30 of 30 devices would lose it, and 5 may at once") {
		t.Errorf("%+v", c)
	}
	r = run(t, reader(t, objects...), strings.Replace(profileManifest("wifi", ""), "selector: {}", "selector: {}\n  removal: {maxPercent: 100}\n  excludeSelector: {matchLabels: {team: design}}", 1))
	effect(t, "all but design, without a guard", r.Changes[0].Devices, 5, 0, 30, 1, false)
	r = run(t, reader(t, objects...), strings.Replace(profileManifest("wifi", "matchLabels: {team: design}"), "key: profile", "key: other", 1))
	effect(t, "another content", r.Changes[0].Devices, 0, 30, 0, 0, false)
	if !r.Changes[0].Devices.Updated {
		t.Error("another content is not delivered")
	}
	r = run(t, reader(t, objects...), strings.Replace(profileManifest("wifi", ""), "metadata:\n", "metadata:\n  annotations: {mdm.kubemdm.io/paused: \"true\"}\n", 1))
	effect(t, "paused", r.Changes[0].Devices, 0, 0, 0, 0, false)
	if !strings.Contains(r.Changes[0].Warnings[0], "it is paused") {
		t.Errorf("%q", r.Changes[0].Warnings)
	}
}

func TestGuardCountsAsTheOperatorDoes(t *testing.T) {
	for _, tc := range []struct {
		losing int
		held   bool
	}{{5, false}, {6, true}} {
		w := reader(t, fleet()...)
		var manifests []string
		for i := range tc.losing {
			manifests = append(manifests, deviceManifest(fmt.Sprintf("d%02d", i), "team: sales"))
		}
		r := run(t, w, manifests...)
		i := slices.IndexFunc(r.Follows, func(f diff.Follower) bool { return f.Name == "wifi" })
		effect(t, "wifi", &r.Follows[i].Effect, 0, 30-tc.losing, tc.losing, 0, tc.held)
	}
}

func TestDeviceLabelsChangeItsProfiles(t *testing.T) {
	r := run(t, reader(t, fleet()...), deviceManifest("d00", "team: sales"), deviceManifest("s0", "floor: \"2\""))
	if c := r.Changes[0]; !slices.Equal(c.Gains, []string{"vpn"}) || !slices.Equal(c.Loses, []string{"wifi"}) {
		t.Errorf("%+v", c)
	}
	// The pipeline had set the label team, and sets it no more.
	if c := r.Changes[1]; c.Gains != nil || !slices.Equal(c.Loses, []string{"vpn"}) || len(c.Fields) != 2 {
		t.Errorf("%+v", c)
	}
	if len(r.Follows) != 2 || r.Follows[0].Name != "vpn" || len(r.Follows[0].Gain) != 1 || len(r.Follows[0].Lose) != 1 {
		t.Errorf("%+v", r.Follows)
	}
}

// What others than the pipeline wrote stays: labels of tokens and of people, and what the operator writes into the spec.
func TestFieldsOfOthersStay(t *testing.T) {
	d := device("ana", "design")
	d.Labels["floor"], d.Labels["note"], d.Labels["both"] = "2", "x", "y"
	applied(d, "another", `{"f:metadata":{"f:labels":{"f:both":{}}}}`)
	d.ManagedFields[0].FieldsV1 = metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{"f:team":{},"f:both":{}}},"f:spec":{"f:serialNumber":{},"f:serverRef":{"f:name":{}}}}`)
	d.Spec.Listing = &mdmv1alpha1.AppleListing{AutomatedEnrollment: "abm", State: mdmv1alpha1.ListingListed}
	applied(d, "kubemdm-token-labels", `{"f:metadata":{"f:labels":{"f:floor":{}}}}`)
	applied(d, "kubemdm-automated-enrollment", `{"f:spec":{"f:listing":{".":{},"f:automatedEnrollment":{},"f:state":{}}}}`)
	w := reader(t, d)
	w.In = deviceManifest("ana", "team: design")
	w.WantError(w.Run(diff.Command, "-", "--field-manager", pipeline))
	w.WantNotes("1 unchanged")
	r := run(t, reader(t, d), deviceManifest("ana", "team: design"))
	if r.Changes[0].State != diff.Unchanged {
		t.Errorf("%+v", r.Changes[0].Fields)
	}
	w = reader(t, d)
	w.In = deviceManifest("ana", "")
	w.WantError(w.Run(diff.Command, "--field-manager", "argocd-controller", "-")) // it owns nothing of it, and can take nothing away
	w.WantNotes("1 unchanged")
}

// A Device that is declared takes the place of the discovered one, with the labels of its token.
func TestDeclaredInPlaceOfDiscovered(t *testing.T) {
	found := looktest.Device("apple-3f8a0c91d2", "S-ana", mdmv1alpha1.PlatformApple)
	found.Labels = map[string]string{mdmv1alpha1.LabelDiscovered: "true", "team": "sales", "floor": "2"}
	applied(found, "kubemdm-token-labels", `{"f:metadata":{"f:labels":{"f:floor":{}}}}`)
	floor := profile("floor", "")
	floor.Spec.Selector.MatchLabels = map[string]string{"floor": "2"}
	r := run(t, reader(t, append(fleet(), found, floor)...), deviceManifest("ana", "team: design"))
	if c := r.Changes[0]; !slices.Equal(c.Gains, []string{"wifi"}) || !slices.Equal(c.Loses, []string{"vpn"}) ||
		!strings.Contains(c.Notes[0], "it takes the place of apple-3f8a0c91d2") {
		t.Errorf("%+v", c)
	}
}

func TestSetupProfiles(t *testing.T) {
	listed := func(name, team string) *mdmv1alpha1.Device {
		d := device(name, team)
		d.Status.Enrollment = nil
		d.Spec.Listing = &mdmv1alpha1.AppleListing{AutomatedEnrollment: "abm", State: mdmv1alpha1.ListingListed}
		return applied(d, "kubemdm-automated-enrollment", `{"f:spec":{"f:listing":{".":{},"f:automatedEnrollment":{},"f:state":{}}}}`)
	}
	left := listed("left", "design")
	left.Spec.Listing.State = mdmv1alpha1.ListingLeft
	abm := &mdmv1alpha1.AutomatedEnrollment{ObjectMeta: looktest.Meta("abm")}
	abm.Spec.ServerRef.Name = "berlin"
	abm.Spec.Profiles = []mdmv1alpha1.SetupProfile{{Name: "all"}}
	r := run(t, reader(t, abm, listed("a", "design"), listed("b", "sales"), listed("c", "sales"), left, profile("wifi", "design")), manifest("AutomatedEnrollment", "abm", "", `
serverRef: {name: berlin}
deviceLabels: {team: design}
profiles:
- {name: serial, serialNumbers: [S-c]}
- {name: design, selector: {matchLabels: {team: design}}}
- {name: all, displayName: Everybody}`))
	setups := r.Changes[0].Setups
	for name, want := range map[string][3]int{"serial": {1, 0, 0}, "design": {1, 0, 0}, "all": {0, 1, 2}} {
		e := setups[name]
		if got := [3]int{len(e.Gain), len(e.Keep), len(e.Lose)}; got != want {
			t.Errorf("%s: %+v, want %v", name, e, want)
		}
	}
	if !setups["all"].Updated {
		t.Error("another name is not another content")
	}
}

func TestCommandsAndTokens(t *testing.T) {
	r := run(t, reader(t, fleet()...),
		manifest("DeviceCommand", "some", "", "serverRef: {name: berlin}\ntarget: {selector: {matchLabels: {team: sales}}}\naction: {type: Restart}"),
		manifest("DeviceCommand", "one", "", "serverRef: {name: berlin}\ntarget: {deviceRef: {name: d00}}\naction: {type: Restart}"),
		manifest("DeviceCommand", "none", "", "serverRef: {name: berlin}\ntarget: {deviceRef: {name: nobody}}\naction: {type: Restart}"),
		manifest("EnrollmentToken", "staff", "", "serverRef: {name: berlin}\nplatforms: [Apple]\nlabels: {team: sales}"))
	for i, want := range []int{5, 1, 0} {
		if got := len(r.Changes[i].Devices.Gain); got != want {
			t.Errorf("%s asks %d devices, want %d", r.Changes[i].Name, got, want)
		}
	}
	if want := []string{"35 devices have enrolled with it, and keep what they have until they enrol again", "a device of Apple that enrols with it gets the Profiles vpn"}; !slices.Equal(r.Changes[3].Notes, want) {
		t.Errorf("%q", r.Changes[3].Notes)
	}
}

func TestWhatWouldBeRefused(t *testing.T) {
	resource := schema.GroupKind{Group: "mdm.kubemdm.io", Kind: "Profile"}
	w := reader(t, fleet()...)
	w.In = strings.Replace(deviceManifest("d00", "team: design"), "S-d00", "S-other", 1) + profileManifest("new", "") + strings.Replace(profileManifest("bad", ""), "selector", "selektor", 1)
	w.WantError(w.Run(diff.Command, "-"), "2 objects would be refused")
	w.WantOutput("✗ Device fleet/d00 refused (-:1)\n    spec.serialNumber: Invalid value: \"S-other\": serialNumber is immutable once set\n",
		"✗ Profile fleet/bad refused", "spec.selektor: unknown field")
	w.Fail = func(verb, _, name string) error {
		if verb == "apply" {
			return apierrors.NewInvalid(resource, name, nil)
		}
		return nil
	}
	w.In = profileManifest("new", "")
	w.WantError(w.Run(diff.Command, "-"), "1 object would be refused")
	w.Fail = func(verb, _, _ string) error {
		if verb == "apply" {
			return apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("ValidatingAdmissionPolicy 'x' with binding 'x' denied request: ask an administrator"))
		}
		return nil
	}
	w.WantError(w.Run(diff.Command, "-"), "1 object would be refused")
	w.WantOutput("refused (-:1)\n    ask an administrator\n")
}

func TestWhatCannotBeRead(t *testing.T) {
	w := reader(t, fleet()...)
	for in, want := range map[string]string{
		"apiVersion: v1\nkind: Secret\n": "there is no object of mdm.kubemdm.io in these files",
		"a: [":                           "-:1: no YAML",
		strings.Replace(profileManifest("new", ""), "spec:", "spec:\n  selector: {}", 1): "duplicate field",
		strings.Replace(profileManifest("new", ""), "name: new", "labels: {}", 1):        "metadata.name: Required value",
	} {
		w.In = in
		w.WantError(w.Run(diff.Command, "-"), want)
	}
	refuse := w.Fail
	w.Fail = func(verb, kind, name string) error {
		return errors.Join(refuse(verb, kind, name), doingtest.Forbid("list", "Device")(verb, kind, name))
	}
	w.In = profileManifest("new", "")
	w.WantError(w.Run(diff.Command, "-"))
	w.WantNotes("You may not list devices.mdm.kubemdm.io in the namespace fleet")
}
