package profile_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/managed"
)

// fleetOf is a bench with n enrolled devices, and the devices.
func fleetOf(t *testing.T, n int) (*managed.Bench, []*managed.Mac) {
	t.Helper()
	b := managed.New(t)
	var macs []*managed.Mac
	for i := range n {
		b.Create(managed.Device(fmt.Sprint("mac-", i), fmt.Sprint("C", i), map[string]string{"team": "design"}))
		macs = append(macs, b.Fleet.Enrol(fmt.Sprint("UDID-", i), fmt.Sprint("C", i), nil))
	}
	return b, macs
}

var design = map[string]string{"team": "design"}

// connect lets all devices answer.
func connect(macs []*managed.Mac, answer managed.Answer) (installs int) {
	for _, m := range macs {
		for _, d := range m.Connect(answer) {
			if d.Install != nil {
				installs++
			}
		}
	}
	return installs
}

func numbers(p *mdmv1alpha1.Profile) string {
	s := p.Status
	if s.Targeted == nil {
		return "not counted"
	}
	return fmt.Sprintf("targeted=%d installed=%d pending=%d notNow=%d failed=%d removing=%d", *s.Targeted, *s.Installed, *s.Pending, *s.NotNow, *s.Failed, *s.Removing)
}

func expectNumbers(b *managed.Bench, p *mdmv1alpha1.Profile, want string) {
	b.Helper()
	if got := numbers(p); got != want {
		b.Errorf("counted %s, want %s", got, want)
	}
}

// installed is a bench whose n devices have the Profile wifi.
func installed(t *testing.T, n int) (*managed.Bench, *mdmv1alpha1.Profile, []*managed.Mac) {
	t.Helper()
	b, macs := fleetOf(t, n)
	p := managed.Profile("wifi", design)
	b.Create(p)
	b.UntilIs(p, "Ready=True/Ready", "Converged=False/RollingOut")
	b.Until("every device was asked", func() bool { return connect(macs, managed.Acknowledge) == n })
	b.UntilIs(p, "Converged=True/Installed")
	return b, p, macs
}

func TestProfileIsPublishedAndConverges(t *testing.T) {
	b, p, macs := installed(t, 2)
	b.Expect(p, "Accepted=True/Ready", "Rendered=True/Ready", "Published=True/Ready", "RemovalHeld=absent", "Reconciling=absent")
	expectNumbers(b, p, "targeted=2 installed=2 pending=0 notNow=0 failed=0 removing=0")
	if p.Status.Identifier != "io.kubemdm.fleet.wifi" || len(p.Status.Digest) != 64 || p.Status.LastCountedAt == nil {
		t.Errorf("status %+v", p.Status)
	}
	before := p.Status.Digest
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { managed.SetContent(p, "two") })
	b.UntilIs(p, "Converged=False/RollingOut", "Ready=True/Ready")
	if n := connect(macs, managed.Acknowledge); n != 2 {
		t.Errorf("%d devices got the edit", n)
	}
	b.UntilIs(p, "Converged=True/Installed")
	if p.Status.Digest == before {
		t.Error("the digest is that of before the edit")
	}
}

func TestRowsAreAckedOnceTheyStandInTheCluster(t *testing.T) {
	b, p, macs := installed(t, 3)
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { managed.SetContent(p, "two") })
	b.UntilIs(p, "Converged=False/RollingOut")
	connect(macs[:2], managed.Acknowledge)
	b.Until("the progress is written", func() bool { return b.Get("wifi", p) && *p.Status.Installed == 2 })
	b.UntilAcked(adminapi.KindArtifact)
}

func TestRefusalIsFinalForTheContent(t *testing.T) {
	b, macs := fleetOf(t, 2)
	p := managed.Profile("wifi", design)
	b.Create(p)
	b.Until("the devices were asked", func() bool { return connect(macs[:1], managed.Refuse)+connect(macs[1:], managed.Acknowledge) == 2 })
	b.Until("both answers are counted", func() bool {
		return b.Get("wifi", p) && numbers(p) == "targeted=2 installed=1 pending=0 notNow=0 failed=1 removing=0"
	})
	b.Expect(p, "Converged=False/Refused", "Ready=True/Ready")
	if f := p.Status.Failing; len(f) != 1 || f[0].Device != "mac-0" || f[0].Message != "no thanks" || f[0].Since == nil {
		t.Errorf("failing %+v", f)
	}
	if n := connect(macs, managed.Acknowledge); n != 0 {
		t.Errorf("%d devices were asked again", n)
	}
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { managed.SetContent(p, "two") })
	b.Until("the edit reached both", func() bool { return connect(macs, managed.Acknowledge) == 2 })
	b.UntilIs(p, "Converged=True/Installed")
	if len(p.Status.Failing) != 0 {
		t.Errorf("failing %+v", p.Status.Failing)
	}
}

func TestNotNowIsPendingAndAskedAgain(t *testing.T) {
	b, macs := fleetOf(t, 1)
	p := managed.Profile("wifi", design)
	b.Create(p)
	b.Until("the device was asked", func() bool { return connect(macs, managed.NotNow) == 1 })
	b.Until("it is counted", func() bool {
		b.Get("wifi", p)
		return numbers(p) == "targeted=1 installed=0 pending=1 notNow=1 failed=0 removing=0"
	})
	b.Expect(p, "Converged=False/RollingOut")
	if n := connect(macs, managed.Acknowledge); n != 1 {
		t.Errorf("asked %d times at the next contact", n)
	}
	b.UntilIs(p, "Converged=True/Installed")
}

func TestNothingSelected(t *testing.T) {
	b, _ := fleetOf(t, 1)
	p := managed.Profile("wifi", map[string]string{"team": "desing"})
	b.Create(p)
	b.UntilIs(p, "Ready=True/Ready", "Converged=False/NothingSelected")
	if said := managed.Message(p, "Converged"); !strings.Contains(said, "labels of your Devices") {
		t.Errorf("message %q", said)
	}
}

func TestNarrowerSelectorRemoves(t *testing.T) {
	b, p, macs := installed(t, 2)
	managed.Edit(b, "mac-0", &mdmv1alpha1.Device{}, func(d *mdmv1alpha1.Device) { d.Labels = nil })
	b.Until("the device is told", func() bool {
		for _, d := range macs[0].Connect(managed.Acknowledge) {
			return d.Remove != nil && d.Remove.Identifier == "io.kubemdm.fleet.wifi"
		}
		return false
	})
	b.UntilIs(p, "Converged=True/Installed")
	expectNumbers(b, p, "targeted=1 installed=1 pending=0 notNow=0 failed=0 removing=0")
}

func TestProgressIsWrittenInGrowingIntervals(t *testing.T) {
	const n = 12
	b, p, macs := installed(t, n)
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { managed.SetContent(p, "two") })
	b.UntilIs(p, "Converged=False/RollingOut")
	expectNumbers(b, p, "targeted=12 installed=0 pending=12 notNow=0 failed=0 removing=0")
	writes, version := 0, p.ResourceVersion
	for i, m := range macs {
		m.Connect(managed.Acknowledge)
		b.Until("the manager has heard", func() bool { return b.Counted("wifi", i+1) })
		if b.Get("wifi", p); p.ResourceVersion != version {
			writes, version = writes+1, p.ResourceVersion
		}
	}
	b.UntilIs(p, "Converged=True/Installed")
	expectNumbers(b, p, "targeted=12 installed=12 pending=0 notNow=0 failed=0 removing=0")
	if writes > 5 {
		t.Errorf("%d writes while %d devices answered within %d seconds", writes, n, n)
	}
}

func TestPostponedCountersAreWrittenInTheEnd(t *testing.T) {
	b, p, macs := installed(t, 3)
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { managed.SetContent(p, "two") })
	b.ReconcileNow(p)
	if b.Get("wifi", p); numbers(p) != "targeted=3 installed=0 pending=3 notNow=0 failed=0 removing=0" {
		t.Fatalf("counted %s", numbers(p))
	}
	macs[0].Connect(managed.Acknowledge)
	b.Poll("the manager has heard", func() bool { return b.Counted("wifi", 1) })
	result := b.ReconcileNow(p)
	if result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("the next look comes after %v", result.RequeueAfter)
	}
	expectNumbers(b, p, "targeted=3 installed=0 pending=3 notNow=0 failed=0 removing=0")
	b.Advance(result.RequeueAfter)
	b.ReconcileNow(p)
	b.Get("wifi", p)
	expectNumbers(b, p, "targeted=3 installed=1 pending=2 notNow=0 failed=0 removing=0")
}

func TestSigningIsToldWithoutReinstalling(t *testing.T) {
	b, p, macs := installed(t, 1)
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { p.Spec.Signing = mdmv1alpha1.ProfileSigned })
	b.UntilIs(p, "Converged=True/Installed", "Ready=True/Ready")
	if n := connect(macs, managed.Acknowledge); n != 0 {
		t.Error("another signature reinstalled the profile")
	}
	b.Create(managed.Device("new", "CN", design))
	fresh := b.Fleet.Enrol("UDID-N", "CN", nil)
	var got []managed.Delivery
	b.Until("a new device is asked", func() bool { got = fresh.Connect(managed.Acknowledge); return len(got) > 0 })
	if got[0].Install == nil || !got[0].Install.Sign {
		t.Errorf("the device got %+v, want a signed profile", got[0])
	}
}

func TestPublicationAsksForAssignments(t *testing.T) {
	b, _ := fleetOf(t, 0)
	asked := make(chan link.Event, 10)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	source := b.Deps.Links.Source(link.KindAssignments, func(_ context.Context, e link.Event) []reconcile.Request {
		asked <- e
		return nil
	})
	b.Must(source.Start(t.Context(), queue))
	if len(asked) != 1 {
		t.Fatal("a source that starts late hears of the server")
	}
	<-asked
	p := managed.Profile("wifi", nil)
	b.Create(p)
	b.ReconcileNow(p)
	if len(asked) != 1 {
		t.Error("nobody was asked to compare assignments")
	}
}

func TestNothingIsSaidTooEarly(t *testing.T) {
	b, p, _ := installed(t, 1)
	b.Create(managed.Device("new", "CN", map[string]string{"team": "sales"}))
	b.Fleet.Enrol("UDID-N", "CN", nil)
	b.UntilIs(managed.Device("new", "", nil), "Ready=True/Ready", "Enrolled=True/Ready")
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { p.Spec.Selector.MatchLabels = nil })
	b.ReconcileNow(p)
	b.Expect(p, "Published=False/Pending", "Ready=False/Pending", "Converged=False/RollingOut")
	b.Pass()
	for range 5 {
		b.ReconcileNow(p)
		b.Expect(p, "Converged=False/RollingOut")
	}
	b.UntilIs(p, "Ready=True/Ready", "Converged=False/RollingOut")
	expectNumbers(b, p, "targeted=2 installed=1 pending=1 notNow=0 failed=0 removing=0")
}

func TestRestartOfManagerAndServerRewritesNothing(t *testing.T) {
	b, p, macs := installed(t, 1)
	before := p.ResourceVersion
	b.Fleet.Stop()
	b.Disconnect()
	b.Round()
	b.Fleet.Restart()
	b.Manage()
	for range 5 {
		b.Round()
	}
	if b.Get("wifi", p); p.ResourceVersion != before {
		t.Error("the Profile was rewritten")
	}
	if n := connect(macs, managed.Acknowledge); n != 0 {
		t.Error("the profile was reinstalled")
	}
}

func TestDeletionTakesTheProfileAway(t *testing.T) {
	for name, c := range map[string]struct {
		policy mdmv1alpha1.ProfileDeletionPolicy
		told   int
	}{"Remove": {mdmv1alpha1.ProfileRemove, 1}, "Retain": {mdmv1alpha1.ProfileRetain, 0}} {
		t.Run(name, func(t *testing.T) {
			b, p, macs := installed(t, 1)
			managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { p.Spec.DeletionPolicy = c.policy })
			b.Delete("wifi", p)
			b.Until("the Profile has gone", func() bool { return !b.Get("wifi", p) })
			b.Round()
			if got := macs[0].Connect(managed.Acknowledge); len(got) != c.told || c.told > 0 && got[0].Remove == nil {
				t.Errorf("the device got %+v", got)
			}
		})
	}
}

func TestProfileAppliedAgainAfterDeletion(t *testing.T) {
	b, p, macs := installed(t, 1)
	b.Delete("wifi", p)
	b.Until("the Profile has gone", func() bool { return !b.Get("wifi", p) })
	connect(macs, managed.Acknowledge)
	again := managed.Profile("wifi", design)
	b.Create(again)
	b.Until("it is on the device again", func() bool { return connect(macs, managed.Acknowledge) == 1 })
	b.UntilIs(again, "Converged=True/Installed")
}

func TestDeletionFinishesWithoutServer(t *testing.T) {
	b, p, _ := installed(t, 1)
	b.Disconnect()
	b.Delete(managed.ServerName, &mdmv1alpha1.MDMServer{})
	b.Told()
	b.Delete("wifi", p)
	b.ReconcileNow(p)
	if b.Get("wifi", p) {
		t.Error("the Profile waits for a server that is gone")
	}
	if told := strings.Join(b.Told(), "\n"); !strings.Contains(told, "Warning ServerNotFound") {
		t.Errorf("events %s", told)
	}
}

func TestIdentifierHasOneOwner(t *testing.T) {
	b, first, _ := installed(t, 1)
	second := managed.Profile("copy", design)
	second.Spec.Apple.Payloads.Identifier = "io.kubemdm.fleet.wifi"
	b.Create(second)
	b.UntilIs(second, "Published=False/IdentifierConflict", "Ready=False/IdentifierConflict", "Stalled=True/IdentifierConflict")
	if said := managed.Message(second, "Published"); !strings.Contains(said, "wifi") {
		t.Errorf("message %q", said)
	}
	if wait := b.ReconcileNow(second).RequeueAfter; wait <= 0 {
		t.Error("nobody will ask for the identifier again")
	}
	b.Expect(first, "Ready=True/Ready", "Converged=True/Installed")
	b.Delete("wifi", first)
	b.UntilIs(second, "Published=True/Ready", "Stalled=absent")
}

func TestServerMustExist(t *testing.T) {
	b, _ := fleetOf(t, 0)
	p := managed.Profile("wifi", design)
	p.Spec.ServerRef.Name = "nobody"
	b.Create(p)
	b.UntilIs(p, "Accepted=False/ServerNotFound", "Ready=False/ServerNotFound", "Reconciling=True/ServerNotFound")
}

func TestInvalidSpecStalls(t *testing.T) {
	b, _ := fleetOf(t, 0)
	p := managed.Profile("wifi", design)
	p.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}
	b.Create(p)
	b.UntilIs(p, "Accepted=False/Invalid", "Stalled=True/Invalid")
}

// What a Secret says must never stand where others read it.
func secretFree(b *managed.Bench, p *mdmv1alpha1.Profile, secret string) {
	b.Helper()
	b.Get(p.Name, p)
	if strings.Contains(fmt.Sprintf("%+v", p), secret) || strings.Contains(strings.Join(b.Told(), "\n"), secret) {
		b.Error("the Secret's value stands in the object or in an event")
	}
}
