package fleet_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/depfake"
	"github.com/kubemdm/kubemdm/test/managed"
)

// automation is an organisation at Apple and its AutomatedEnrollment.
type automation struct {
	*managed.Bench
	apple  *depfake.Server
	object *mdmv1alpha1.AutomatedEnrollment
}

// macsAndRest are two profiles: one for Macs by their label, one for whatever is left.
func macsAndRest() []mdmv1alpha1.SetupProfile {
	return []mdmv1alpha1.SetupProfile{
		{Name: "macs", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{mdmv1alpha1.LabelFamily: "Mac"}}, SkipItems: []string{"Siri", "AppleID"}},
		{Name: "rest"},
	}
}

// automate makes an organisation whose AutomatedEnrollment has no token yet.
func automate(t *testing.T, profiles ...mdmv1alpha1.SetupProfile) *automation {
	return automateOn(t, bench(t), profiles...)
}

func automateOn(t *testing.T, b *managed.Bench, profiles ...mdmv1alpha1.SetupProfile) *automation {
	t.Helper()
	a := &automation{Bench: b, apple: depfake.Start(t, depfake.Options{})}
	server := &mdmv1alpha1.MDMServer{}
	b.Get(managed.ServerName, server)
	server.Status.URL = "https://mdm.example.test"
	meta.SetStatusCondition(&server.Status.Conditions, metav1.Condition{Type: mdmv1alpha1.MDMServerPubliclyTrusted, Status: metav1.ConditionTrue, Reason: mdmv1alpha1.MDMServerPublicCA})
	b.Must(b.Client.Status().Update(t.Context(), server))
	b.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "apple-ca"}, Data: map[string]string{"ca.crt": string(a.apple.CAPEM)}})
	a.object = &mdmv1alpha1.AutomatedEnrollment{
		ObjectMeta: metav1.ObjectMeta{Name: "business"},
		Spec: mdmv1alpha1.AutomatedEnrollmentSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: managed.ServerName}, Profiles: profiles,
			Service: mdmv1alpha1.AppleEnrollmentService{URL: a.apple.URL, CAConfigMapRef: &mdmv1alpha1.KeyReference{Name: "apple-ca", Key: "ca.crt"}},
		},
	}
	b.Create(a.object)
	return a
}

// automated is automate with a token in use and these devices listed.
func automated(t *testing.T, profiles []mdmv1alpha1.SetupProfile, devices ...depfake.Device) *automation {
	a := automate(t, profiles...)
	a.apple.Add(devices...)
	a.UntilIs(a.object, "KeyReady=True/Ready", "TokenAccepted=False/AwaitingToken")
	a.give(a.download())
	a.UntilIs(a.object, "Ready=True/Ready")
	return a
}

// download is a person who uploads the public key and downloads the token.
func (a *automation) download() []byte {
	a.Helper()
	a.Get(a.object.Name, a.object)
	p7m, err := a.apple.Upload([]byte(a.object.Status.PublicKeyCertificate))
	a.Must(err)
	return p7m
}

// give puts a token into the Secret and names it.
func (a *automation) give(p7m []byte) {
	a.Helper()
	secret := &corev1.Secret{}
	if a.Get("token", secret) {
		secret.Data = map[string][]byte{"token.p7m": p7m}
		a.Must(a.Client.Update(a.Context(), secret))
	} else {
		a.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "token"}, Data: map[string][]byte{"token.p7m": p7m}})
	}
	managed.Edit(a.Bench, a.object.Name, a.object, func(o *mdmv1alpha1.AutomatedEnrollment) {
		o.Spec.TokenSecretRef = &mdmv1alpha1.KeyReference{Name: "token", Key: "token.p7m"}
	})
}

// hurry asks for a sync now. The clocks of signatures and of the fake are real: where the answer could be a question of time, none must pass.
func (a *automation) hurry(value string) {
	a.Helper()
	managed.Edit(a.Bench, a.object.Name, a.object, func(o *mdmv1alpha1.AutomatedEnrollment) {
		o.Annotations = map[string]string{mdmv1alpha1.AnnotationRequestedAt: value}
	})
}

// later lets a sync fall due.
func (a *automation) later() { a.Advance(16 * time.Minute) }

func macs(prefix string, n int) []depfake.Device {
	var all []depfake.Device
	for i := range n {
		all = append(all, depfake.Device{SerialNumber: fmt.Sprintf("%s%04d", prefix, i), Model: "MacBook Pro 14", Family: "Mac", AssetTag: fmt.Sprint("tag-", i)})
	}
	return all
}

func iPads(prefix string, n int) []depfake.Device {
	all := macs(prefix, n)
	for i := range all {
		all[i].Model, all[i].Family, all[i].OS = "iPad Pro (11-inch)", "iPad", "iOS"
	}
	return all
}

// assigned are the names of the profiles that the devices have at Apple, by serial number.
func (a *automation) assigned() map[string]string {
	names := map[string]string{"": ""}
	for _, p := range a.object.Status.Profiles {
		names[p.UUID] = p.Name
	}
	all := map[string]string{}
	for serial, d := range a.apple.Devices() {
		all[serial] = names[d.ProfileUUID]
	}
	return all
}

func bySerial(a *automation) map[string]mdmv1alpha1.Device {
	all := map[string]mdmv1alpha1.Device{}
	for _, d := range devices(a.Bench) {
		all[d.Spec.SerialNumber] = d
	}
	return all
}

func TestDevicesOfTheOrganisationAreDeclaredAndAssigned(t *testing.T) {
	a := automated(t, macsAndRest(), append(macs("C", 3), iPads("D", 2)...)...)
	a.UntilIs(a.object, "DevicesAssigned=True/Ready", "Published=True/Ready", "TokenNotExpiring=True/Ready", "ServiceReachable=True/Ready")
	all := bySerial(a)
	if len(all) != 5 {
		t.Fatalf("%d Devices", len(all))
	}
	d := all["C0001"]
	if l := d.Spec.Listing; l == nil || l.State != mdmv1alpha1.ListingListed || l.AssetTag != "tag-1" || l.Model != "MacBook Pro 14" || l.AutomatedEnrollment != "business" {
		t.Errorf("the listing is %+v", l)
	}
	for label, want := range map[string]string{
		mdmv1alpha1.LabelFamily: "Mac", mdmv1alpha1.LabelModel: "MacBook-Pro-14", mdmv1alpha1.LabelAutomatedEnrollment: "business", mdmv1alpha1.LabelListing: "Listed",
	} {
		if d.Labels[label] != want {
			t.Errorf("the label %s is %q", label, d.Labels[label])
		}
	}
	a.Until("its origin is told", func() bool { return a.Get(d.Name, &d) && d.Status.Origin == mdmv1alpha1.DeviceListed })
	want := map[string]string{"C0000": "macs", "C0001": "macs", "C0002": "macs", "D0000": "rest", "D0001": "rest"}
	if got := a.assigned(); !maps.Equal(got, want) {
		t.Errorf("assigned are %v", got)
	}
	if calls := a.apple.Assignments(); len(calls) != 2 {
		t.Errorf("%d calls assigned: %+v", len(calls), calls)
	}
	page, err := a.Fleet.ListAutomated(t.Context(), "", 0)
	if err != nil || len(page.Items) != 1 || page.Items[0].Devices != 5 {
		t.Errorf("the server knows %+v, %v", page, err)
	}
	status := a.object.Status
	if *status.Devices.Listed != 5 || *status.Devices.Assigned != 5 || status.Organization.Name == "" || status.URL != "https://mdm.example.test/ade/"+a.Namespace+"/business" || status.NextStep != "" {
		t.Errorf("status %+v", status)
	}
}

// A sync that brings nothing new costs one request and writes nothing.
func TestIdleSyncIsOneRequestAndNoWrite(t *testing.T) {
	a := automated(t, macsAndRest(), macs("C", 3)...)
	a.Round()
	a.Round()
	versions := func() []string {
		a.Get(a.object.Name, a.object)
		all := []string{a.object.ResourceVersion}
		for _, d := range devices(a.Bench) {
			all = append(all, d.ResourceVersion)
		}
		return all
	}
	before := versions()
	a.apple.ResetCounters()
	a.ReconcileNow(a.object)
	if got := a.apple.Requests(); len(got) != 0 {
		t.Errorf("before it is time: %v", got)
	}
	a.Advance(15 * time.Minute)
	a.ReconcileNow(a.object)
	got := a.apple.Requests()
	delete(got, "GET /session") // Apple ends sessions after minutes
	if len(got) != 1 || got["POST /devices/sync"] != 1 {
		t.Errorf("the sync made %v", got)
	}
	if after := versions(); !slices.Equal(before, after) {
		t.Errorf("versions %v after %v: %+v", after, before, a.object.Status)
	}
}

func TestWhatChangesAtAppleIsFollowed(t *testing.T) {
	a := automated(t, macsAndRest(), append(macs("C", 3), iPads("D", 2)...)...)
	a.apple.Add(macs("E", 2)...)
	a.Must(a.apple.Delete("C0000"))
	a.Must(a.apple.Modify("D0000", func(d *depfake.Device) { d.AssetTag = "moved"; d.Color = "BLUE" }))
	a.later()
	a.UntilIs(a.object, "DevicesAssigned=True/Ready", "DevicesSynced=True/Ready")
	a.Until("all is followed", func() bool {
		all := bySerial(a)
		return len(all) == 7 && all["C0000"].Spec.Listing.State == mdmv1alpha1.ListingLeft && all["D0000"].Spec.Listing.AssetTag == "moved" && all["E0001"].Labels[mdmv1alpha1.LabelFamily] == "Mac"
	})
	want := map[string]string{"C0001": "macs", "C0002": "macs", "D0000": "rest", "D0001": "rest", "E0000": "macs", "E0001": "macs"}
	if got := a.assigned(); !maps.Equal(got, want) {
		t.Errorf("assigned are %v", got)
	}
	if !slices.ContainsFunc(a.Told(), func(e string) bool { return strings.Contains(e, "DevicesLeft") }) {
		t.Error("nobody was told of the device that left")
	}
	a.apple.Add(macs("C", 1)...)
	a.later()
	a.Until("the device is back", func() bool {
		d := bySerial(a)["C0000"]
		return d.Spec.Listing.State == mdmv1alpha1.ListingListed && d.Labels[mdmv1alpha1.LabelListing] == "Listed" && a.assigned()["C0000"] == "macs"
	})
}

// A label that a person sets decides, and one device may be named by its serial number.
func TestSelectorsAndSerialNumbersDecide(t *testing.T) {
	profiles := []mdmv1alpha1.SetupProfile{
		{Name: "named", SerialNumbers: []string{"C0002"}},
		{Name: "board", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "board"}}},
		{Name: "ipads", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{mdmv1alpha1.LabelFamily: "iPad"}}},
	}
	a := automated(t, profiles, append(macs("C", 3), iPads("D", 1)...)...)
	if got := a.assigned(); got["C0000"] != "" || got["C0002"] != "named" || got["D0000"] != "ipads" {
		t.Fatalf("assigned are %v", got)
	}
	d := bySerial(a)["C0000"]
	patchLabels(a.Bench, &d, `{"team": "board"}`)
	a.Until("the label counts", func() bool { return a.assigned()["C0000"] == "board" })
	patchLabels(a.Bench, &d, `{"team": null}`)
	a.Until("what was ours is taken back", func() bool { return a.assigned()["C0000"] == "" })
	if n := len(a.apple.Removals()); n != 1 {
		t.Errorf("%d calls removed", n)
	}
	a.UntilIs(a.object, "Ready=True/Ready")
	if *a.object.Status.Devices.Unselected != 2 {
		t.Errorf("counted are %+v", a.object.Status.Devices)
	}
}

// A serial number that is declared in Git and listed by Apple is one Device, whichever comes first.
func TestDeclaredAndListedIsOneDevice(t *testing.T) {
	a := automate(t, macsAndRest()...)
	first := managed.Device("from-git", "C0000", map[string]string{"team": "design", mdmv1alpha1.LabelFamily: "Toaster"})
	a.Create(first)
	a.apple.Add(macs("C", 2)...)
	a.UntilIs(a.object, "TokenAccepted=False/AwaitingToken")
	a.give(a.download())
	a.UntilIs(a.object, "Ready=True/Ready")
	all := bySerial(a)
	if d := all["C0000"]; len(devices(a.Bench)) != 2 || d.Name != "from-git" || d.Spec.Listing == nil || d.Labels["team"] != "design" || d.Labels[mdmv1alpha1.LabelFamily] != "Toaster" {
		t.Errorf("%d Devices, the declared one is %+v", len(all), d)
	}
	second := managed.Device("later-from-git", "C0001", nil)
	a.Create(second)
	a.Until("the declared one took over", func() bool {
		all := devices(a.Bench)
		return len(all) == 2 && a.Get("later-from-git", second) && second.Spec.Listing != nil && a.Is(second, "Matched=True/AwaitingEnrollment")
	})
	a.UntilIs(a.object, "Ready=True/Ready", "DevicesAssigned=True/Ready")
	if got := a.assigned(); got["C0000"] != "rest" || got["C0001"] != "macs" {
		t.Errorf("assigned are %v", got)
	}
}

// An edited profile is defined anew and its devices follow; the status that is lost costs nothing.
func TestProfilesAreDefinedOnceAndAdopted(t *testing.T) {
	a := automated(t, macsAndRest(), append(macs("C", 2), iPads("D", 1)...)...)
	if n := len(a.apple.Profiles()); n != 2 {
		t.Fatalf("%d profiles", n)
	}
	before := a.object.Status.Profiles
	a.Get(a.object.Name, a.object)
	a.object.Status.Profiles = nil
	a.Must(a.Client.Status().Update(t.Context(), a.object))
	a.Manage() // another leader knows nothing
	a.UntilIs(a.object, "Ready=True/Ready")
	a.Until("the profiles are adopted", func() bool { return a.Get(a.object.Name, a.object) && len(a.object.Status.Profiles) == 2 })
	if got := a.object.Status.Profiles; got[0].UUID != before[0].UUID || got[1].UUID != before[1].UUID || len(a.apple.Profiles()) != 2 {
		t.Errorf("profiles %+v, were %+v", got, before)
	}
	managed.Edit(a.Bench, a.object.Name, a.object, func(o *mdmv1alpha1.AutomatedEnrollment) { o.Spec.Profiles[0].Department = "Design" })
	a.Until("the Macs follow", func() bool {
		a.Get(a.object.Name, a.object)
		return len(a.apple.Profiles()) == 3 && a.assigned()["C0000"] == "macs" && a.assigned()["D0000"] == "rest" && a.object.Status.Profiles[0].UUID != before[0].UUID
	})
	managed.Edit(a.Bench, a.object.Name, a.object, func(o *mdmv1alpha1.AutomatedEnrollment) { o.Spec.Profiles = o.Spec.Profiles[:1] })
	a.Manage() // and the next leader finds that a profile is ours which is not in the spec any more
	a.Until("the iPad has lost its profile", func() bool { a.Get(a.object.Name, a.object); return a.apple.Devices()["D0000"].ProfileUUID == "" })
	a.UntilIs(a.object, "Ready=True/Ready")
	a.apple.ForgetProfile(a.object.Status.Profiles[0].UUID)
	a.apple.Add(macs("E", 1)...)
	a.later()
	a.Until("a profile that Apple lost is defined again", func() bool { return a.Get(a.object.Name, a.object) && a.assigned()["E0000"] == "macs" })
}

// A disown is guarded as a wipe is: one Device, its serial number and its enrolment.
func TestDisownIsForOneConfirmedDevice(t *testing.T) {
	a := automated(t, macsAndRest(), macs("C", 3)...)
	enrolled := a.Fleet.Enrol("UDID-1", "C0001", nil)
	var d mdmv1alpha1.Device
	a.Until("it is enrolled", func() bool { d = bySerial(a)["C0001"]; return a.Is(&d, "Enrolled=True/Ready") })
	disown := func(name, device, serial, enrolment string) *mdmv1alpha1.DeviceCommand {
		c := managed.Command(name, device, mdmv1alpha1.ActionDisown)
		c.Spec.Action.Disown = &mdmv1alpha1.DisownAction{SerialNumber: serial, EnrollmentID: enrolment}
		a.Create(c)
		return c
	}
	for name, c := range map[string]*mdmv1alpha1.DeviceCommand{
		"another serial number": disown("a", d.Name, "C0002", enrolled.EnrollmentID()),
		"no enrolment":          disown("b", d.Name, "C0001", ""),
		"an earlier enrolment":  disown("c", d.Name, "C0001", "00000000-0000-0000-0000-000000000000"),
	} {
		t.Log(name)
		a.UntilIs(c, "Accepted=False/ConfirmationMismatch", "Failed=True/ConfirmationMismatch")
	}
	if n := len(a.apple.Disowned()); n != 0 {
		t.Fatalf("Apple was asked %d times", n)
	}
	a.apple.Fail("POST /devices/disown", depfake.Lost()) // the answer is lost, and the device is gone
	right := disown("d", d.Name, "C0001", enrolled.EnrollmentID())
	a.UntilIs(right, "Published=False/AppleUnavailable")
	a.hurry("now")
	a.Until("the device has left", func() bool { return bySerial(a)["C0001"].Spec.Listing.State == mdmv1alpha1.ListingLeft })
	a.UntilIs(right, "Succeeded=True/Done")
	if a.Get("d", right); right.Status.Counts.Succeeded != 1 || len(right.Status.Results) != 1 {
		t.Errorf("the status is %+v", right.Status)
	}
	if got := a.apple.Devices(); len(got) != 2 {
		t.Errorf("Apple lists %d devices", len(got))
	}
	neverEnrolled := bySerial(a)["C0002"]
	a.UntilIs(disown("e", neverEnrolled.Name, "C0002", ""), "Succeeded=True/Done")
}
