package live_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
)

// feed is a watch of deviceevents.
type feed struct {
	*person
	watch.Interface
}

func (p *person) watch(opts metav1.ListOptions) *feed {
	p.Helper()
	w, err := p.in(p.ns, "deviceevents").Watch(p.Context(), opts)
	p.must(err)
	p.Cleanup(w.Stop)
	return &feed{p, w}
}

// until reads events until one is what the test waits for, and returns it.
func (f *feed) until(what string, is func(*livev1alpha1.DeviceEvent) bool) *livev1alpha1.DeviceEvent {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), patience)
	defer cancel()
	var seen []string
	for {
		select {
		case <-ctx.Done():
			f.Fatalf("waiting for %s: there were %s", what, strings.Join(seen, ", "))
		case e, open := <-f.ResultChan():
			if !open || e.Type != watch.Added {
				f.Fatalf("waiting for %s: the watch ended with %+v", what, e)
			}
			out := &livev1alpha1.DeviceEvent{}
			f.must(runtime.DefaultUnstructuredConverter.FromUnstructured(e.Object.(*unstructured.Unstructured).Object, out))
			if is(out) {
				return out
			}
			seen = append(seen, fmt.Sprintf("%s of %q", out.Type, out.Device))
		}
	}
}

func installed(device, profile string) func(*livev1alpha1.DeviceEvent) bool {
	return func(e *livev1alpha1.DeviceEvent) bool {
		return e.Device == device && e.Type == "Acknowledged" && e.Profile == profile
	}
}

func TestWatchSeesWhatHappensAsItHappens(t *testing.T) {
	w := newWorld(t)
	viewer := w.person("viewer", "kubemdm-viewer")
	anna, berta := w.mac("anna"), w.mac("berta")
	before, err := viewer.events(w.Context(), metav1.ListOptions{})
	w.must(err)
	if got := enrolments(before); got != "anna berta" {
		t.Errorf("the list has the enrolments of %q", got)
	}
	all := viewer.watch(metav1.ListOptions{ResourceVersion: before.ResourceVersion})
	hers := viewer.watch(metav1.ListOptions{ResourceVersion: before.ResourceVersion, FieldSelector: "device=berta"})
	w.wifi("office")
	w.must(anna.Idle(w.Context()))
	first := all.until("anna has the Profile", installed("anna", "office"))
	if first.Server != serverName || first.SerialNumber == "" || first.Namespace != w.ns || first.RequestType != "InstallProfile" {
		t.Errorf("event %+v", first)
	}
	w.must(berta.Idle(w.Context()))
	all.until("berta has the Profile", installed("berta", "office"))
	hers.until("berta has the Profile", func(e *livev1alpha1.DeviceEvent) bool {
		if e.Device != "berta" {
			t.Errorf("a watch of berta shows %q", e.Device)
		}
		return installed("berta", "office")(e)
	})
	// Whoever lost the connection goes on behind the last event that came.
	viewer.watch(metav1.ListOptions{ResourceVersion: first.ResourceVersion}).until("berta has the Profile", func(e *livev1alpha1.DeviceEvent) bool {
		if e.Name == first.Name {
			t.Error("the watch began with an event that was seen")
		}
		return installed("berta", "office")(e)
	})
}

// enrolments names the Devices of the events Enrolled, the oldest first.
func enrolments(list *livev1alpha1.DeviceEventList) string {
	var devices []string
	for _, e := range list.Items {
		if e.Type == "Enrolled" {
			devices = append(devices, e.Device)
		}
	}
	return strings.Join(devices, " ")
}

func TestWatchOutlivesARestartOfTheServer(t *testing.T) {
	w := newWorld(t)
	viewer := w.person("viewer", "kubemdm-viewer")
	anna := w.mac("anna")
	list, err := viewer.events(w.Context(), metav1.ListOptions{FieldSelector: "device=anna"})
	w.must(err)
	if got := enrolments(list); got != "anna" {
		t.Errorf("the list has the enrolments of %q", got)
	}
	feed := viewer.watch(metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	w.pod.Stop()
	_, err = viewer.events(w.Context(), metav1.ListOptions{})
	if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("a list without any server: %v", err)
	}
	w.pod.Start()
	w.wifi("office")
	w.idle(anna, "the Profile is there", func() bool { return len(anna.Profiles()) == 2 })
	feed.until("anna has the Profile", installed("anna", "office"))
}

func TestEventsAreOfOneNamespace(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	viewer := w.person("viewer", "kubemdm-viewer")
	w.mac("anna")
	other.mac("otto")
	list, err := viewer.events(w.Context(), metav1.ListOptions{})
	w.must(err)
	for _, e := range list.Items {
		if e.Namespace != w.ns || e.Device == "otto" {
			t.Errorf("an event of another namespace: %+v", e)
		}
	}
	for name, c := range map[string]struct {
		namespace string
		opts      metav1.ListOptions
		is        func(error) bool
		words     string
	}{
		"another namespace": {other.ns, metav1.ListOptions{}, apierrors.IsForbidden, "cannot list resource"},
		"all namespaces":    {"", metav1.ListOptions{}, apierrors.IsForbidden, "cannot list resource"},
		"unknown field":     {w.ns, metav1.ListOptions{FieldSelector: "profile=office"}, apierrors.IsBadRequest, `deviceevents have no field "profile" to select by: use "device" or "server"`},
		"labels":            {w.ns, metav1.ListOptions{LabelSelector: "a=b"}, apierrors.IsBadRequest, "have no labels"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := viewer.in(c.namespace, "deviceevents").List(t.Context(), c.opts)
			if !c.is(err) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v", err)
			}
		})
	}
	chief := w.person("chief", "")
	shared.grant(t, chief.name, "kubemdm-viewer")
	table, err := viewer.table("deviceevents")
	w.must(err)
	if cells := table.Rows[0].Cells; cells[1] != "anna" || cells[2] != "Enrolled" {
		t.Errorf("kubectl get shows %v", cells)
	}
	everywhere, err := chief.in("", "deviceevents").List(t.Context(), metav1.ListOptions{})
	w.must(err)
	seen := map[string]bool{}
	for _, e := range everywhere.Items {
		seen[e.GetNamespace()] = true
	}
	if !seen[w.ns] || !seen[other.ns] {
		t.Errorf("all namespaces are %v", seen)
	}
	_, err = chief.in(unmanaged, "deviceevents").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), "does not manage the namespace") {
		t.Errorf("a namespace that is not managed: %v", err)
	}
}

func TestWatchEndsWhenItsTimeIsUp(t *testing.T) {
	w := newWorld(t)
	viewer := w.person("viewer", "kubemdm-viewer")
	seconds := int64(1)
	feed := viewer.watch(metav1.ListOptions{TimeoutSeconds: &seconds})
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	select {
	case e, open := <-feed.ResultChan():
		if open {
			t.Errorf("an event of an empty fleet: %+v", e)
		}
	case <-ctx.Done():
		t.Error("the watch did not end")
	}
}
