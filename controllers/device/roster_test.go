package device_test

import (
	"context"
	"fmt"
	"slices"
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

// fleetOf is a bench with n declared Devices named mac-0, mac-1 ..., all labelled team=design and enrolled.
func fleetOf(t *testing.T, n int) *managed.Bench {
	t.Helper()
	b := managed.New(t)
	for i := range n {
		b.Create(managed.Device(fmt.Sprint("mac-", i), fmt.Sprint("C", i), map[string]string{"team": "design"}))
		b.Fleet.Enrol(fmt.Sprint("UDID-", i), fmt.Sprint("C", i), nil)
	}
	b.Until("all Devices are ready", func() bool {
		return !slices.ContainsFunc(devices(b), func(d mdmv1alpha1.Device) bool { return !b.Is(&d, "Published=True/Ready") })
	})
	return b
}

// assigned lists the devices that the server was told should have an artifact.
func assigned(b *managed.Bench, profile string) []string {
	b.Helper()
	page, err := b.Fleet.ListAssignments(b.Context(), "", 0)
	b.Must(err)
	var ids []string
	for _, a := range page.Items {
		for _, key := range a.Artifacts {
			if strings.HasSuffix(string(key), "/"+profile) {
				ids = append(ids, a.DeviceID)
			}
		}
	}
	return ids
}

func untilAssigned(b *managed.Bench, profile string, n int) {
	b.Helper()
	b.Until(fmt.Sprintf("%d devices are to have %s", n, profile), func() bool { return len(assigned(b, profile)) == n })
}

func relabel(b *managed.Bench, team string, indexes ...int) {
	b.Helper()
	for _, i := range indexes {
		managed.Edit(b, fmt.Sprint("mac-", i), &mdmv1alpha1.Device{}, func(d *mdmv1alpha1.Device) { d.Labels = map[string]string{"team": team} })
	}
}

var design = map[string]string{"team": "design"}

func TestProfilesGoToSelectedDevices(t *testing.T) {
	b := fleetOf(t, 3)
	p := managed.Profile("wifi", design)
	p.Spec.ExcludeSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kiosk": "yes"}}
	b.Create(p)
	untilAssigned(b, "wifi", 3)
	relabel(b, "sales", 0)
	managed.Edit(b, "mac-1", &mdmv1alpha1.Device{}, func(d *mdmv1alpha1.Device) { d.Labels["kiosk"] = "yes" })
	untilAssigned(b, "wifi", 1)
	if got := assigned(b, "wifi"); got[0] != "UDID-2" {
		t.Errorf("the Profile is for %v", got)
	}
	relabel(b, "design", 0, 1)
	untilAssigned(b, "wifi", 3)
}

func TestRemovalWaitsUntilTheSetStandsStill(t *testing.T) {
	b := fleetOf(t, 2)
	b.Create(managed.Profile("wifi", design))
	untilAssigned(b, "wifi", 2)
	relabel(b, "sales", 0)
	if again := b.Pass(); again.RequeueAfter <= 0 || again.RequeueAfter > 10*time.Second {
		t.Errorf("next pass after %v", again.RequeueAfter)
	}
	b.Advance(2 * time.Second)
	relabel(b, "sales", 1)
	b.Pass() // another set
	b.Advance(3 * time.Second)
	b.Pass()
	if got := assigned(b, "wifi"); len(got) != 2 {
		t.Fatalf("devices lost the profile before their set stood still: %v are left", got)
	}
	b.Advance(5 * time.Second)
	b.Pass()
	if got := assigned(b, "wifi"); len(got) != 0 {
		t.Errorf("%v still have the profile", got)
	}
}

func TestManyRemovalsAreHeldUntilAcknowledged(t *testing.T) {
	b := fleetOf(t, 7)
	p := managed.Profile("wifi", design)
	b.Create(p)
	untilAssigned(b, "wifi", 7)
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { p.Spec.Selector.MatchLabels = map[string]string{"team": "desing"} })
	b.Create(managed.Device("mac-7", "C7", map[string]string{"team": "desing"}))
	b.Fleet.Enrol("UDID-7", "C7", nil)
	untilAssigned(b, "wifi", 8)
	b.UntilIs(p, "RemovalHeld=True/TooManyRemovals", "Converged=False/RollingOut", "Ready=True/Ready")
	held := p.Status.HeldRemoval
	if held == nil || held.Devices != 7 || len(held.Token) != 10 || !strings.Contains(managed.Message(p, "RemovalHeld"), held.Token) {
		t.Fatalf("held %+v, message %q", held, managed.Message(p, "RemovalHeld"))
	}
	b.Advance(time.Hour)
	rounds(b)
	if got := assigned(b, "wifi"); len(got) != 8 {
		t.Fatalf("only %v are left", got)
	}
	acknowledge := func(token string) {
		managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { p.Spec.Removal.Acknowledge = token })
	}
	acknowledge("0123456789")
	b.Advance(time.Hour)
	rounds(b)
	if got := assigned(b, "wifi"); len(got) != 8 {
		t.Fatalf("a wrong token was taken; %v are left", got)
	}
	acknowledge(held.Token)
	untilAssigned(b, "wifi", 1)
	b.UntilIs(p, "RemovalHeld=absent")
	if p.Status.HeldRemoval != nil {
		t.Errorf("held %+v", p.Status.HeldRemoval)
	}
}

// A restored cluster may show a part of its objects first.
func TestPartialViewStripsNobody(t *testing.T) {
	t.Run("a Profile is missing", func(t *testing.T) {
		b := fleetOf(t, 1)
		p := managed.Profile("wifi", design)
		b.Create(p)
		untilAssigned(b, "wifi", 1)
		managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { p.Finalizers = nil })
		b.Delete("wifi", p)
		b.Create(managed.Profile("vpn", design))
		untilAssigned(b, "vpn", 1)
		b.Advance(time.Minute)
		rounds(b)
		untilAssigned(b, "wifi", 1)
	})
	t.Run("Devices came back without labels", func(t *testing.T) {
		b := fleetOf(t, 6)
		b.Create(managed.Profile("wifi", design))
		untilAssigned(b, "wifi", 6)
		for i := range 6 {
			name := fmt.Sprint("mac-", i)
			managed.Edit(b, name, &mdmv1alpha1.Device{}, func(d *mdmv1alpha1.Device) { d.Finalizers = nil })
			b.Delete(name, &mdmv1alpha1.Device{})
		}
		b.Until("they are discovered", func() bool { return len(devices(b)) == 6 })
		b.Advance(time.Minute)
		rounds(b)
		if got := assigned(b, "wifi"); len(got) != 6 {
			t.Errorf("only %v kept the profile", got)
		}
	})
}

func TestPausedObjectsKeepWhatIsThere(t *testing.T) {
	pause := func(o metav1.Object) { o.SetAnnotations(map[string]string{mdmv1alpha1.AnnotationPaused: "true"}) }
	b := fleetOf(t, 2)
	p := managed.Profile("wifi", design)
	b.Create(p)
	untilAssigned(b, "wifi", 2)
	managed.Edit(b, "mac-0", &mdmv1alpha1.Device{}, func(d *mdmv1alpha1.Device) { pause(d); d.Labels = nil })
	relabel(b, "sales", 1)
	untilAssigned(b, "wifi", 1)
	managed.Edit(b, "wifi", p, func(p *mdmv1alpha1.Profile) { pause(p) })
	relabel(b, "design", 1)
	managed.Edit(b, "mac-0", &mdmv1alpha1.Device{}, func(d *mdmv1alpha1.Device) { d.Annotations = nil })
	b.Advance(time.Minute)
	rounds(b)
	if got := assigned(b, "wifi"); len(got) != 1 || got[0] != "UDID-0" {
		t.Errorf("the Profile is for %v", got)
	}
}

func TestBurstIsOnePass(t *testing.T) {
	b := fleetOf(t, 1)
	b.Pass()
	b.Create(managed.Profile("wifi", design))
	_, err := b.Reconcile(managed.Profile("wifi", nil))
	b.Must(err)
	if wait := b.PassNow().RequeueAfter; wait <= 0 || wait > time.Second {
		t.Errorf("the second pass of a second comes after %v", wait)
	}
	if got := assigned(b, "wifi"); len(got) != 0 {
		t.Errorf("the second pass of a second assigned to %v", got)
	}
}

func TestAnotherStoreIsToldEverything(t *testing.T) {
	b := fleetOf(t, 1)
	b.Create(managed.Profile("wifi", design))
	untilAssigned(b, "wifi", 1)
	b.Fleet.Replace()
	b.Connect()
	b.Fleet.Enrol("UDID-0", "C0", nil)
	untilAssigned(b, "wifi", 1)
}

func TestWhoeverWaitsForAPassIsWoken(t *testing.T) {
	b := fleetOf(t, 7)
	b.Create(managed.Profile("wifi", design))
	untilAssigned(b, "wifi", 7)
	profiles, devices := listen(b, adminapi.KindArtifact), listen(b, adminapi.KindDevice)
	relabel(b, "sales", 0, 1, 2, 3, 4, 5, 6)
	b.Pass()
	if !slices.Contains(heard(profiles), "fleet/wifi") {
		t.Error("the Profile that should say what is held was not woken")
	}
	fresh := managed.Device("fresh", "CF", nil)
	b.Create(fresh)
	b.Fleet.Enrol("UDID-F", "CF", nil)
	b.Poll("the device waits for a pass", func() bool {
		b.ReconcileNow(fresh)
		return b.Is(fresh, "Enrolled=True/Ready") && b.Is(fresh, "Published=False/Pending")
	})
	heard(devices) // what the server said of it
	b.Pass()
	if !slices.Contains(heard(devices), "UDID-F") {
		t.Error("the Device that waits for its assignment was not woken")
	}
}

// listen takes the events of one kind.
func listen(b *managed.Bench, kind adminapi.Kind) <-chan string {
	b.Helper()
	events := make(chan string, 100)
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	b.Cleanup(queue.ShutDown)
	source := b.Deps.Links.Source(kind, func(_ context.Context, e link.Event) []reconcile.Request {
		events <- e.Key
		return nil
	})
	b.Must(source.Start(b.Context(), queue))
	return events
}

// heard lists the keys of the events since the last call.
func heard(events <-chan string) []string {
	var keys []string
	for {
		select {
		case key := <-events:
			keys = append(keys, key)
		default:
			return keys
		}
	}
}
