package live_test

import (
	"fmt"
	"strings"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

func TestPINTakesAVerbOfItsOwn(t *testing.T) {
	w := newWorld(t)
	mac := w.mac("anna")
	w.create(&mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Name: "lost"}, Spec: mdmv1alpha1.DeviceCommandSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, Target: mdmv1alpha1.CommandTarget{DeviceRef: &mdmv1alpha1.LocalReference{Name: "anna"}},
		Action: mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionLock, Lock: &mdmv1alpha1.LockAction{Message: "Call us"}},
	}})
	w.idle(mac, "the Mac is locked", func() bool { return mac.Locked() != nil })

	w.role("curious", []string{"get"}, "devicepins")
	w.role("trusted", []string{"get", "reveal"}, "devicepins")
	for name, c := range map[string]struct {
		who   *person
		words []string
	}{
		"viewer":             {w.person("viewer", "kubemdm-viewer"), []string{`cannot get resource "devicepins"`}},
		"helpdesk":           {w.person("helpdesk", "kubemdm-helpdesk"), []string{`cannot get resource "devicepins"`}},
		"editor":             {w.person("editor", "kubemdm-editor"), []string{`cannot get resource "devicepins"`}},
		"get without reveal": {w.having("curious"), []string{`lacks the verb "reveal"`, "curious-" + w.ns}},
	} {
		t.Run(name, func(t *testing.T) {
			pin, err := read[livev1alpha1.DevicePIN](c.who, "devicepins", "lost")
			if !apierrors.IsForbidden(err) {
				t.Fatalf("got %d PINs, error %v", pins(pin), err)
			}
			for _, words := range c.words {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("error %v, without %q", err, words)
				}
			}
		})
	}
	for _, who := range []*person{w.person("admin", "kubemdm-admin"), w.having("trusted")} {
		out := mustRead[livev1alpha1.DevicePIN](who, "devicepins", "lost")
		if len(out.PINs) != 1 || out.PINs[0].PIN != mac.Locked().PIN || out.PINs[0].Device != "anna" || out.Server != serverName {
			t.Errorf("%s reads %+v", who.name, out)
		}
		table, err := who.table("devicepins/lost")
		w.must(err)
		if cells := table.Rows[0].Cells; strings.Contains(fmt.Sprint(cells...), mac.Locked().PIN) {
			t.Errorf("kubectl get shows the PIN: %v", cells)
		}
		w.eventually("an Event tells who read it", func() bool { return w.told(who.name, mac.Locked().PIN) })
	}

	admin := w.having("trusted")
	w.must(shared.api.Delete(w.Context(), &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "lost"}}))
	w.eventually("the DeviceCommand is gone", func() bool { return !w.exists("lost", &mdmv1alpha1.DeviceCommand{}) })
	if out := mustRead[livev1alpha1.DevicePIN](admin, "devicepins", "lost"); len(out.PINs) != 1 || out.Server != serverName {
		t.Errorf("after the DeviceCommand went: %+v", out)
	}
	if _, err := read[livev1alpha1.DevicePIN](admin, "devicepins", "never"); !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "90 days") {
		t.Errorf("a command that never was: %v", err)
	}
}

// having is a person who has a Role of the namespace.
func (w *world) having(role string) *person {
	w.Helper()
	p := w.person(role, "")
	w.bind(p.name, "Role", role)
	return p
}

func pins(p *livev1alpha1.DevicePIN) int {
	if p == nil {
		return 0
	}
	return len(p.PINs)
}

// told says whether an Event of the DeviceCommand names the user. It fails the test if one has the PIN in it.
func (w *world) told(user, pin string) bool {
	w.Helper()
	list := &eventsv1.EventList{}
	w.must(shared.api.List(w.Context(), list, client.InNamespace(w.ns)))
	for _, e := range list.Items {
		if strings.Contains(e.Note, pin) {
			w.Errorf("an Event has the PIN in it: %s", e.Note)
		}
		if e.Reason == mdmv1alpha1.DeviceCommandEventPINRevealed && e.Regarding.Name == "lost" && strings.Contains(e.Note, user) {
			return true
		}
	}
	return false
}
