package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/events"
	lt "github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/test/golden"
)

var resource = schema.GroupResource{Group: livev1alpha1.GroupVersion.Group, Resource: "deviceevents"}

func event(n int, device string, entry livev1alpha1.HistoryEntry) livev1alpha1.DeviceEvent {
	entry.Time = lt.Ago(time.Hour - time.Duration(n)*time.Minute)
	return livev1alpha1.DeviceEvent{
		ObjectMeta: metav1.ObjectMeta{Namespace: lt.Namespace, Name: fmt.Sprintf("event-%d", n), ResourceVersion: fmt.Sprint(100 + n)},
		Server:     "berlin", Device: device, DeviceID: "1111", HistoryEntry: entry,
	}
}

func happened() []livev1alpha1.DeviceEvent {
	return []livev1alpha1.DeviceEvent{
		event(3, "mac-1", livev1alpha1.HistoryEntry{Type: "Failed", RequestType: "InstallProfile", Profile: "fonts", Message: "4001: the payload\ncannot be \x1b[2Jread"}),
		event(1, "mac-1", livev1alpha1.HistoryEntry{Type: "Enrolled", Message: "with the token staff"}),
		event(2, "", livev1alpha1.HistoryEntry{Type: "Acknowledged", RequestType: "RestartDevice", Command: "restart", User: "anna"}),
	}
}

// tells answers lists with events, and remembers what was asked for.
func tells(asked *[]string, items ...livev1alpha1.DeviceEvent) func(*client.ListOptions) (*livev1alpha1.DeviceEventList, error) {
	return func(o *client.ListOptions) (*livev1alpha1.DeviceEventList, error) {
		parts := strings.Split(o.FieldSelector.String(), ",")
		slices.Sort(parts)
		*asked = append(*asked, o.Namespace+" "+strings.Join(parts, ","))
		return &livev1alpha1.DeviceEventList{ListMeta: metav1.ListMeta{ResourceVersion: "104"}, Items: items}, nil
	}
}

func TestEvents(t *testing.T) {
	for _, tc := range []struct{ name, args, asked string }{
		{"events", "", "fleet "},
		{"events-all", "-A", " "},
		{"events-limit", "--limit 1", "fleet "},
		{"events-json", "-o json", "fleet "},
		{"events-of-device", "c02 --server berlin", "fleet device=mac-1,server=berlin"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, asked := lt.New(t, lt.Device("mac-1", "C02", mdmv1alpha1.PlatformApple)), []string{}
			w.Events.List = tells(&asked, happened()...)
			w.WantError(w.Run(events.Command, strings.Fields(tc.args)...))
			golden.Check(t, "testdata/"+tc.name+".txt", w.Out.Bytes())
			if strings.Join(asked, ";") != tc.asked {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

func TestNoEvents(t *testing.T) {
	w, asked := lt.New(t), []string{}
	w.Events.List = tells(&asked)
	w.WantError(w.Run(events.Command))
	w.WantOutput("Nothing happened that the servers still tell")
	w.WantError(w.Run(events.Command, "mac-1"), "no Device in the namespace fleet has the name or serial number mac-1")
	w.WantError(w.Run(events.Command, "mac-1", "-A"), "goes without a name")
	w.WantError(w.Run(events.Command, "--limit", "-1"), "--limit")
	w.WantError(w.Run(events.Command, "-o", "yaml"), "yaml")
	w.Forbidden = []string{"Device"}
	w.WantError(w.Run(events.Command, "mac-1"))
	if asked[len(asked)-1] != "fleet device=mac-1" {
		t.Errorf("%q", asked)
	}
}

// Without the live view there is nothing to go on with, and the error says why.
func TestWithoutLiveView(t *testing.T) {
	for want, failure := range map[string]error{
		"reading events: the live view is not installed":    &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: resource.Group, Kind: "DeviceEvent"}},
		"reading events: you lack a right on the live view": apierrors.NewForbidden(resource, "", errors.New("no")),
		"reading events: the live view does not answer":     apierrors.NewServiceUnavailable("no endpoints"),
	} {
		w := lt.New(t)
		w.Live = failure
		w.WantError(w.Run(events.Command, "--follow"), want)
	}
}

// following runs "events --follow" with watches that come one after another, and ends it when the last of them is over.
func following(t *testing.T, lists func(*client.ListOptions) (*livev1alpha1.DeviceEventList, error), watches ...func(*watch.RaceFreeFakeWatcher) error) (*lt.World, []string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	w, asked := lt.New(t), []string{}
	w.Events.List = lists
	w.Events.Watch = func(o *client.ListOptions) (watch.Interface, error) {
		asked = append(asked, o.Raw.ResourceVersion)
		if len(watches) == 0 {
			cancel()
			return nil, context.Canceled
		}
		next := watches[0]
		watches = watches[1:]
		one := watch.NewRaceFreeFake()
		if err := next(one); err != nil {
			return nil, err
		}
		one.Stop()
		return one, nil
	}
	err := w.RunUntil(ctx, events.Command, "--follow", "-o", "json")
	return w, asked, err
}

func names(t *testing.T, w *lt.World) string {
	t.Helper()
	var all []string
	for decoder := json.NewDecoder(&w.Out); decoder.More(); {
		var e livev1alpha1.DeviceEvent
		if err := decoder.Decode(&e); err != nil || e.Kind != "DeviceEvent" {
			t.Fatalf("%v: %v", err, e)
		}
		all = append(all, e.Name)
	}
	return strings.Join(all, " ")
}

// Connections end; what happened is shown once, whichever connection tells it, and one that does not come about is said once and tried again.
func TestFollow(t *testing.T) {
	asked := []string{}
	add := func(one *watch.RaceFreeFakeWatcher, n int) {
		e := event(n, "mac-1", livev1alpha1.HistoryEntry{Type: "Enrolled"})
		one.Add(&e)
	}
	w, versions, err := following(t, tells(&asked, happened()...),
		func(one *watch.RaceFreeFakeWatcher) error {
			add(one, 3)
			add(one, 5)
			return nil
		},
		func(*watch.RaceFreeFakeWatcher) error {
			return apierrors.NewGenericServerResponse(http.StatusServiceUnavailable, "watch", resource, "", "", 0, true)
		},
		func(one *watch.RaceFreeFakeWatcher) error {
			expired := apierrors.NewResourceExpired("too old").Status()
			one.Error(&expired)
			return nil
		},
		func(one *watch.RaceFreeFakeWatcher) error { add(one, 6); return nil },
	)
	w.WantError(err)
	if got := names(t, w); got != "event-1 event-2 event-3 event-5 event-6" {
		t.Error(got)
	}
	if got := strings.Join(versions, " "); got != "104 105 105 104 106" || len(asked) != 2 {
		t.Errorf("watches from %s, %d lists", got, len(asked))
	}
	if n := strings.Count(w.ErrOut.String(), "trying again"); n != 1 {
		t.Errorf("said %d times: %s", n, &w.ErrOut)
	}
}

// What a person may not do does not come about by trying.
func TestFollowIsForbidden(t *testing.T) {
	asked := []string{}
	w, _, err := following(t, tells(&asked), func(*watch.RaceFreeFakeWatcher) error {
		return apierrors.NewForbidden(resource, "", errors.New("watch"))
	})
	w.WantError(err, "following events: you lack a right on the live view")
}
