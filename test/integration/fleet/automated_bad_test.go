package fleet_test

import (
	"bytes"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/ade"
	"github.com/kubemdm/kubemdm/test/depfake"
	"github.com/kubemdm/kubemdm/test/managed"
)

// A token that cannot be used is refused with a reason, and the one in use stays.
func TestTokensThatAreRefused(t *testing.T) {
	a := automated(t, macsAndRest(), macs("C", 2)...)
	good := a.object.Status.TokenNotAfter
	stranger, _, err := ade.NewPair("somebody else", a.Clock.Now())
	a.Must(err)
	elsewhere := depfake.Start(t, depfake.Options{})
	foreign, err := elsewhere.Upload(stranger)
	a.Must(err)
	other, err := elsewhere.Upload([]byte(a.object.Status.PublicKeyCertificate))
	a.Must(err)
	for _, c := range []struct {
		name, reason string
		p7m          []byte
	}{
		{"for another key", mdmv1alpha1.AutomatedEnrollmentTokenForAnotherKey, foreign},
		{"cut off", mdmv1alpha1.AutomatedEnrollmentTokenUnreadable, other[:len(other)/2]},
		{"something else", mdmv1alpha1.AutomatedEnrollmentTokenUnreadable, []byte("<html>Sign in</html>")},
		{"of another server", mdmv1alpha1.AutomatedEnrollmentTokenOfAnotherServer, other},
	} {
		a.give(c.p7m)
		a.UntilIs(a.object, "TokenAccepted=False/"+c.reason, "ServiceReachable=True/Ready", "Ready=False/"+c.reason)
		if !a.object.Status.TokenNotAfter.Equal(good) || a.object.Status.NextStep == "" {
			t.Errorf("%s: the status is %+v", c.name, a.object.Status)
		}
	}
	managed.Edit(a.Bench, a.object.Name, a.object, func(o *mdmv1alpha1.AutomatedEnrollment) {
		o.Spec.AcceptConsumerKey = strings.TrimSuffix(strings.SplitAfter(managed.Message(a.object, "TokenAccepted"), "consumer key ")[1], ")")
		o.Spec.AcceptConsumerKey, _, _ = strings.Cut(o.Spec.AcceptConsumerKey, ")")
	})
	// This server has never heard of that token, and nothing of the one in use is lost by trying.
	a.UntilIs(a.object, "TokenAccepted=False/TokenRevoked", "ServiceReachable=True/Ready")
}

// A token is renewed with the same key, and then with another one: each time the pair in use stays until the new token is accepted.
func TestTokenAndKeyAreRenewed(t *testing.T) {
	a := automated(t, macsAndRest(), macs("C", 2)...)
	renewed, err := a.apple.Renew()
	a.Must(err)
	a.hurry("now")
	a.UntilIs(a.object, "ServiceReachable=False/TokenRevoked", "Ready=False/TokenRevoked")
	a.give(renewed)
	a.UntilIs(a.object, "ServiceReachable=True/Ready", "Ready=True/Ready")

	before := a.object.Status.PublicKeyCertificate
	keys := func() []byte {
		secret := &corev1.Secret{}
		a.Get(a.object.KeySecretName(), secret)
		return secret.Data["tls.key"]
	}
	inUse := keys()
	managed.Edit(a.Bench, a.object.Name, a.object, func(o *mdmv1alpha1.AutomatedEnrollment) {
		o.Annotations = map[string]string{mdmv1alpha1.AnnotationRenew: "1"}
	})
	a.Until("there is another public key", func() bool {
		return a.Get(a.object.Name, a.object) && a.object.Status.PublicKeyCertificate != before && a.object.Status.LastHandledRenew == "1"
	})
	a.Round()
	if !bytes.Equal(keys(), inUse) {
		t.Error("the key in use was replaced before there was a token for the new one")
	}
	a.UntilIs(a.object, "Ready=True/Ready")
	a.give(a.download())
	a.Until("the new pair is in use", func() bool { return !bytes.Equal(keys(), inUse) })
	a.UntilIs(a.object, "Ready=True/Ready")
	if a.Get(a.object.Name, a.object); a.object.Status.NextStep != "" {
		t.Errorf("the next step is %s", a.object.Status.NextStep)
	}
}

func TestKeysThatAreGoneAreNotMadeAnew(t *testing.T) {
	a := automated(t, macsAndRest(), macs("C", 1)...)
	a.Delete("token", &corev1.Secret{}) // the person's own, which is in use no more
	a.Round()
	a.Manage()
	a.UntilIs(a.object, "TokenAccepted=True/Ready", "Ready=True/Ready")
	secret := &corev1.Secret{}
	a.Get(a.object.KeySecretName(), secret)
	a.Delete(a.object.KeySecretName(), &corev1.Secret{})
	a.UntilIs(a.object, "KeyReady=False/KeyLost", "Stalled=True/KeyLost")
	a.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret.Name, Labels: secret.Labels}, Data: secret.Data})
	a.UntilIs(a.object, "KeyReady=True/Ready", "Ready=True/Ready")
}

// What Apple answers when it does not work becomes a condition with its cure, is not asked again before it is time, and loses nothing.
func TestApplesTroublesPass(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		begin  func(*depfake.Server)
		end    func(*depfake.Server)
		pause  time.Duration
	}{
		"terms":     {mdmv1alpha1.AutomatedEnrollmentTermsNotAccepted, func(s *depfake.Server) { s.SetTerms(true) }, func(s *depfake.Server) { s.SetTerms(false) }, 10 * time.Minute},
		"throttled": {mdmv1alpha1.AutomatedEnrollmentThrottled, func(s *depfake.Server) { s.Throttle(1, 7*time.Minute) }, func(*depfake.Server) {}, 7 * time.Minute},
		"out of order": {mdmv1alpha1.AutomatedEnrollmentServiceUnavailable,
			func(s *depfake.Server) { s.Fail("POST /devices/sync", depfake.WebPage(http.StatusServiceUnavailable)) }, func(*depfake.Server) {}, time.Minute},
		"no answer": {mdmv1alpha1.AutomatedEnrollmentServiceUnavailable,
			func(s *depfake.Server) { s.Fail("POST /devices/sync", depfake.Lost(), depfake.Lost(), depfake.Lost()) }, func(*depfake.Server) {}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			a := automated(t, macsAndRest(), macs("C", 2)...)
			a.apple.Add(macs("E", 1)...)
			c.begin(a.apple)
			a.later()
			a.UntilIs(a.object, "ServiceReachable=False/"+c.reason, "Ready=False/"+c.reason, "Published=True/Ready")
			a.apple.ResetCounters()
			a.Round()
			if got := a.apple.Requests(); len(got) != 0 {
				t.Errorf("it was asked again at once: %v", got)
			}
			c.end(a.apple)
			a.Until("the new device is assigned", func() bool {
				a.Advance(c.pause)
				return a.Get(a.object.Name, a.object) && a.assigned()["E0000"] == "macs"
			})
			a.UntilIs(a.object, "Ready=True/Ready")
		})
	}
}

// A cursor that is of no use any more costs a full list and nothing else; events that come twice and late change nothing.
func TestCursorsAreOnlyAnOptimisation(t *testing.T) {
	for name, spoil := range map[string]func(*depfake.Server){
		"expired": func(s *depfake.Server) { s.ExpireCursors() }, "exhausted": func(s *depfake.Server) { s.ExhaustCursors() },
		"unknown":    func(s *depfake.Server) { s.ForgetCursors() },
		"told again": func(s *depfake.Server) { s.Repeat("C0000"); s.Repeat("C0001") }, "sessions ended": func(s *depfake.Server) { s.EndSessions(false) },
		"sessions forgotten": func(s *depfake.Server) { s.EndSessions(true) },
	} {
		t.Run(name, func(t *testing.T) {
			a := automated(t, macsAndRest(), append(macs("C", 3), iPads("D", 1)...)...)
			a.Must(a.apple.Delete("C0000"))
			a.apple.Add(macs("E", 2)...)
			spoil(a.apple)
			a.later()
			a.Until("all is as it should be", func() bool {
				all := bySerial(a)
				a.Get(a.object.Name, a.object)
				return len(all) == 6 && all["C0000"].Spec.Listing.State == mdmv1alpha1.ListingLeft && all["C0001"].Spec.Listing.State == mdmv1alpha1.ListingListed &&
					maps.Equal(a.assigned(), map[string]string{"C0001": "macs", "C0002": "macs", "D0000": "rest", "E0000": "macs", "E0001": "macs"})
			})
		})
	}
}

// No assignment is dropped: not when the answer is lost, nor when Apple fails at one device or asks to wait in the middle.
func TestNoAssignmentIsDropped(t *testing.T) {
	for name, spoil := range map[string]func(*depfake.Server){
		"answer lost": func(s *depfake.Server) {
			s.Fail("PUT /profile/devices", depfake.Lost())
			s.Fail("POST /profile/devices", depfake.Lost())
		},
		"one device failed": func(s *depfake.Server) { s.SetOutcome("C0001", depfake.Failed) },
		"one throttled":     func(s *depfake.Server) { s.SetOutcome("C0001", depfake.Throttled) },
		"unavailable": func(s *depfake.Server) {
			s.Fail("PUT /profile/devices", depfake.RetryLater(http.StatusServiceUnavailable, time.Minute))
			s.Fail("POST /profile/devices", depfake.RetryLater(http.StatusServiceUnavailable, time.Minute))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := automate(t, macsAndRest()...)
			a.apple.Add(macs("C", 3)...)
			spoil(a.apple)
			a.UntilIs(a.object, "TokenAccepted=False/AwaitingToken")
			a.give(a.download())
			a.Until("two are assigned or it was tried", func() bool { a.Get(a.object.Name, a.object); return len(a.apple.Profiles()) == 2 })
			a.Round()
			a.Round()
			a.apple.SetOutcome("C0001", "")
			a.Until("all are assigned", func() bool {
				a.Advance(2 * time.Minute)
				a.Get(a.object.Name, a.object)
				got := a.assigned()
				return got["C0000"] == "macs" && got["C0001"] == "macs" && got["C0002"] == "macs"
			})
			a.Until("it is ready", func() bool { a.Advance(time.Minute); return a.Is(a.object, "Ready=True/Ready") })
		})
	}
}

// People are reminded of the end of a token as of that of a push certificate.
func TestTheEndOfATokenIsToldInTime(t *testing.T) {
	a := automated(t, macsAndRest(), macs("C", 1)...)
	end := a.object.Status.TokenNotAfter.Time
	for _, days := range []int{59, 29, 13, 6, 1} {
		a.Clock.SetTime(end.Add(-time.Duration(days) * 24 * time.Hour))
		a.UntilIs(a.object, "TokenNotExpiring=False/TokenExpiring")
		if a.object.Status.NextStep == "" {
			t.Errorf("%d days before the end there is no next step", days)
		}
		told := 0
		for _, e := range a.Told() {
			if strings.Contains(e, "TokenExpiring") {
				told++
			}
		}
		if told != 1 {
			t.Errorf("%d days before the end people were told %d times", days, told)
		}
	}
	a.Clock.SetTime(end)
	a.UntilIs(a.object, "TokenNotExpiring=False/TokenExpired")
}

// A serial number that moves to another server of the organisation belongs to the one that lists it now, whichever hears of it first.
func TestADeviceMovesToAnotherServer(t *testing.T) {
	a := automated(t, macsAndRest(), macs("C", 2)...)
	b := &automation{Bench: a.Bench, apple: depfake.Start(t, depfake.Options{ServerName: "Other"})}
	a.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "other-ca"}, Data: map[string]string{"ca.crt": string(b.apple.CAPEM)}})
	b.object = a.object.DeepCopy()
	b.object.ObjectMeta = metav1.ObjectMeta{Name: "school"}
	b.object.Spec.TokenSecretRef, b.object.Status = nil, mdmv1alpha1.AutomatedEnrollmentStatus{}
	b.object.Spec.Service = mdmv1alpha1.AppleEnrollmentService{URL: b.apple.URL, CAConfigMapRef: &mdmv1alpha1.KeyReference{Name: "other-ca", Key: "ca.crt"}}
	a.Create(b.object)
	a.UntilIs(b.object, "TokenAccepted=False/AwaitingToken")
	p7m := b.download()
	a.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "other-token"}, Data: map[string][]byte{"token.p7m": p7m}})
	managed.Edit(a.Bench, "school", b.object, func(o *mdmv1alpha1.AutomatedEnrollment) {
		o.Spec.TokenSecretRef = &mdmv1alpha1.KeyReference{Name: "other-token", Key: "token.p7m"}
	})
	a.UntilIs(b.object, "Ready=True/Ready")
	moved := macs("C", 1)
	moved[0].AssignedAt = time.Now().Add(time.Minute)
	b.apple.Add(moved...)
	a.later()
	a.Until("it belongs to the other one", func() bool {
		d := bySerial(a)["C0000"]
		return d.Spec.Listing.AutomatedEnrollment == "school" && d.Labels[mdmv1alpha1.LabelAutomatedEnrollment] == "school"
	})
	a.Must(a.apple.Delete("C0000"))
	a.later()
	a.UntilIs(a.object, "Ready=True/Ready")
	a.Round()
	if d := bySerial(a)["C0000"]; d.Spec.Listing.AutomatedEnrollment != "school" || d.Spec.Listing.State != mdmv1alpha1.ListingListed {
		t.Errorf("the listing is %+v", d.Spec.Listing)
	}
	page, err := a.Fleet.ListAutomated(t.Context(), "", 0)
	if err != nil || len(page.Items) != 2 || page.Items[0].Devices != 1 || page.Items[1].Devices != 1 {
		t.Errorf("the server knows %+v, %v", page, err)
	}
}

// Deleting it shuts devices out that are not enrolled yet, and leaves the Devices and the keys.
func TestDeletionLeavesDevicesAndKeys(t *testing.T) {
	a := automated(t, macsAndRest(), macs("C", 2)...)
	a.Delete(a.object.Name, &mdmv1alpha1.AutomatedEnrollment{})
	a.Until("it has gone", func() bool {
		got := &mdmv1alpha1.AutomatedEnrollment{}
		if a.Get(a.object.Name, got) {
			a.ReconcileNow(got)
		}
		return !a.Get(a.object.Name, got)
	})
	page, err := a.Fleet.ListAutomated(t.Context(), "", 0)
	if err != nil || len(page.Items) != 0 {
		t.Errorf("the server knows %+v, %v", page, err)
	}
	if len(devices(a.Bench)) != 2 || !a.Get(a.object.KeySecretName(), &corev1.Secret{}) {
		t.Error("something was taken along")
	}
}

// One device that cannot be a Device holds up nobody else, and neither does one whose Device is about to go.
func TestOneBadDeviceHoldsUpNobody(t *testing.T) {
	a := automate(t, macsAndRest()...)
	a.apple.Add(append(macs("C", 2), depfake.Device{SerialNumber: "-- (VM) --", Family: "Mac"})...)
	a.UntilIs(a.object, "TokenAccepted=False/AwaitingToken")
	a.give(a.download())
	a.UntilIs(a.object, "DevicesSynced=False/DeviceRefused", "Published=True/Ready")
	a.Until("the others are assigned", func() bool { a.Get(a.object.Name, a.object); return a.assigned()["C0001"] == "macs" })
	if message := managed.Message(a.object, "DevicesSynced"); strings.Contains(message, "VM") || !strings.Contains(message, "serialNumber") {
		t.Errorf("the message is %s", message)
	}
	d := bySerial(a)["C0000"]
	managed.Edit(a.Bench, d.Name, &d, func(d *mdmv1alpha1.Device) { d.Finalizers = append(d.Finalizers, "example.com/slow") })
	a.Delete(d.Name, &mdmv1alpha1.Device{})
	a.apple.Add(macs("E", 1)...)
	a.later()
	a.Until("the new one is assigned", func() bool { a.Get(a.object.Name, a.object); return a.assigned()["E0000"] == "macs" })
}

// A profile that Apple refuses is told, and is defined as soon as it is corrected.
func TestARefusedProfileIsCorrected(t *testing.T) {
	a := automated(t, macsAndRest(), macs("C", 1)...)
	a.apple.Fail("POST /profile", depfake.Error(http.StatusBadRequest, "DEPARTMENT_INVALID"))
	managed.Edit(a.Bench, a.object.Name, a.object, func(o *mdmv1alpha1.AutomatedEnrollment) { o.Spec.Profiles[0].Department = "Desing" })
	a.UntilIs(a.object, "ProfilesDefined=False/ServiceRefused", "Ready=False/ServiceRefused")
	if message := managed.Message(a.object, "ProfilesDefined"); !strings.Contains(message, "DEPARTMENT_INVALID") {
		t.Errorf("the message is %s", message)
	}
	managed.Edit(a.Bench, a.object.Name, a.object, func(o *mdmv1alpha1.AutomatedEnrollment) { o.Spec.Profiles[0].Department = "Design" })
	a.UntilIs(a.object, "ProfilesDefined=True/Ready", "Ready=True/Ready")
}
