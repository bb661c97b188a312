package live_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/utils/ptr"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func (w *world) list(ctx context.Context, opts internalversion.ListOptions) (*livev1alpha1.DeviceEventList, error) {
	list, err := w.resources["deviceevents"].(rest.Lister).List(ctx, &opts)
	if err != nil {
		return nil, err
	}
	return list.(*livev1alpha1.DeviceEventList), nil
}

func (w *world) watch(opts internalversion.ListOptions) watch.Interface {
	w.Helper()
	feed, err := w.resources["deviceevents"].(rest.Watcher).Watch(w.ctx(), &opts)
	w.must(err)
	w.Cleanup(feed.Stop)
	return feed
}

func (w *world) next(feed watch.Interface) watch.Event {
	w.Helper()
	select {
	case e, open := <-feed.ResultChan():
		if !open {
			w.Fatal("the watch ended")
		}
		return e
	case <-time.After(20 * time.Second):
		w.Fatal("nothing came")
	}
	return watch.Event{}
}

// expect fails unless the next event has this name, and returns its resourceVersion.
func (w *world) expect(feed watch.Interface, name string) string {
	w.Helper()
	e := w.next(feed)
	event, ok := e.Object.(*livev1alpha1.DeviceEvent)
	if !ok || e.Type != watch.Added || event.Name != name {
		w.Fatalf("got %s %+v, want %s", e.Type, e.Object, name)
	}
	return event.ResourceVersion
}

func names(list *livev1alpha1.DeviceEventList) string {
	var all []string
	for _, e := range list.Items {
		all = append(all, e.Name)
	}
	return strings.Join(all, " ")
}

func TestListHasTheNewestOfEachServer(t *testing.T) {
	w := newWorld(t)
	w.device("anna", "A")
	sparse, dense := w.server("main").history("s"), w.server("other").history("d")
	for i := range int64(600) { // numbers have gaps, and there are more than a list has
		sparse.add(1+i*40, "A", adminapi.HistorySent, noon.Add(time.Duration(i)*time.Second))
	}
	dense.add(1, "B", adminapi.HistoryEnrolled, noon)
	list, err := w.list(w.ctx(), internalversion.ListOptions{})
	w.must(err)
	if n := len(list.Items); n != livev1alpha1.MaxEvents+1 {
		t.Fatalf("%d events", n)
	}
	first, second, last := list.Items[0], list.Items[1], list.Items[livev1alpha1.MaxEvents]
	if first.Name != "other.1" || first.Device != "" || second.Name != "main.4001" || last.Name != "main.23961" || last.Device != "anna" || last.SerialNumber != "SA" {
		t.Errorf("from %s of %q and %s to %s of %q", first.Name, first.Device, second.Name, last.Name, last.Device)
	}
	only, err := w.list(w.ctx(), internalversion.ListOptions{FieldSelector: fields.OneTermEqualSelector("server", "other")})
	w.must(err)
	if names(only) != "other.1" {
		t.Errorf("of one server: %s", names(only))
	}
}

func TestListOfOneDeviceHasAllThatIsKept(t *testing.T) {
	w := newWorld(t)
	w.device("anna", "A")
	main := w.server("main")
	h := main.history("s")
	h.add(9, "B", adminapi.HistorySent, noon)
	main.on("POST "+adminapi.PathDeviceDetail, func(*http.Request) any {
		return adminapi.DeviceDetail{Device: adminapi.Device{ID: "A"}, History: []adminapi.HistoryEntry{
			{Seq: 12, DeviceID: "A", Type: adminapi.HistorySent, At: noon}, {Seq: 2, DeviceID: "A", Type: adminapi.HistoryEnrolled, At: noon.Add(-time.Hour)},
		}}
	})
	list, err := w.list(w.ctx(), internalversion.ListOptions{FieldSelector: fields.OneTermEqualSelector("device", "anna")})
	w.must(err)
	if names(list) != "main.2" {
		t.Errorf("events %s: what happened behind the list's place comes in a watch", names(list))
	}
	_, err = w.list(w.ctx(), internalversion.ListOptions{FieldSelector: fields.OneTermEqualSelector("device", "nobody")})
	if !apierrors.IsNotFound(err) {
		t.Errorf("of no Device: %v", err)
	}
}

// warnings are what kubectl would print.
type warnings []string

func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

func TestServerThatIsDownCostsTheOthersNothing(t *testing.T) {
	w := newWorld(t)
	up, down := w.server("main"), w.server("other")
	mine, theirs := up.history("m"), down.history("o")
	mine.add(1, "A", adminapi.HistoryEnrolled, noon)
	down.stop(true)
	var told warnings
	list, err := w.list(warning.WithWarningRecorder(w.ctx(), &told), internalversion.ListOptions{})
	w.must(err)
	if names(list) != "main.1" || len(told) != 1 || !strings.Contains(told[0], "the MDMServer other cannot be reached") {
		t.Errorf("events %s, warnings %q", names(list), told)
	}
	feed := w.watch(internalversion.ListOptions{ResourceVersion: list.ResourceVersion})
	mine.add(2, "A", adminapi.HistorySent, noon)
	w.expect(feed, "main.2")
	theirs.add(1, "B", adminapi.HistoryEnrolled, noon) // long before the list
	theirs.add(5, "B", adminapi.HistorySent, time.Now().Add(time.Minute))
	down.stop(false)
	rv := w.expect(feed, "other.5")
	feed.Stop()
	up.stop(true)
	down.stop(true)
	if _, err := w.list(w.ctx(), internalversion.ListOptions{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("a list without any server: %v", err)
	}
	up.stop(false)
	down.stop(false)
	again := w.watch(internalversion.ListOptions{ResourceVersion: rv})
	theirs.add(6, "B", adminapi.HistorySent, noon)
	w.expect(again, "other.6")
}

func TestWatchFromNowhere(t *testing.T) {
	for name, c := range map[string]struct {
		opts internalversion.ListOptions
		want string
	}{
		"begins with what there is":   {internalversion.ListOptions{}, "main.1 main.2"},
		"is told to":                  {internalversion.ListOptions{SendInitialEvents: ptr.To(true)}, "main.1 main.2"},
		"is told where that ends":     {internalversion.ListOptions{SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true}, "main.1 end main.2"},
		"begins with what comes":      {internalversion.ListOptions{SendInitialEvents: ptr.To(false)}, "main.2"},
		"of one device that is known": {internalversion.ListOptions{FieldSelector: fields.OneTermEqualSelector("server", "main")}, "main.1 main.2"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := w.server("main").history("m")
			h.add(1, "A", adminapi.HistoryEnrolled, noon)
			feed := w.watch(c.opts)
			h.add(2, "A", adminapi.HistorySent, time.Now().Add(time.Minute))
			var got []string
			for range strings.Fields(c.want) {
				e := w.next(feed)
				event := e.Object.(*livev1alpha1.DeviceEvent)
				if e.Type == watch.Bookmark && event.Annotations[metav1.InitialEventsAnnotationKey] == "true" && event.ResourceVersion != "" {
					event.Name = "end"
				}
				got = append(got, event.Name)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func TestWatchOfAnotherStoreMustListAgain(t *testing.T) {
	for name, change := range map[string]func(*history){
		"another store": func(h *history) { h.store = "new" },
		"an older one":  func(h *history) { h.entries, h.last = nil, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			main := w.server("main")
			h := main.history("old")
			h.add(7, "A", adminapi.HistoryEnrolled, noon)
			list, err := w.list(w.ctx(), internalversion.ListOptions{})
			w.must(err)
			change(h)
			main.on("GET "+adminapi.PathHistory, func(r *http.Request) any {
				page, _ := h.page("", 1)
				return page
			})
			feed := w.watch(internalversion.ListOptions{ResourceVersion: list.ResourceVersion})
			e := w.next(feed)
			if status, ok := e.Object.(*metav1.Status); !ok || e.Type != watch.Error || status.Reason != metav1.StatusReasonExpired {
				t.Errorf("got %s %+v", e.Type, e.Object)
			}
			if _, open := <-feed.ResultChan(); open {
				t.Error("the watch goes on")
			}
		})
	}
}

func TestWatchIsBounded(t *testing.T) {
	w := newWorld(t)
	w.server("main").history("m")
	watcher := w.resources["deviceevents"].(rest.Watcher)
	opts := &internalversion.ListOptions{SendInitialEvents: ptr.To(false)}
	var feeds []watch.Interface
	var err error
	for err == nil && len(feeds) < 1000 {
		var feed watch.Interface
		if feed, err = watcher.Watch(w.ctx(), opts); err == nil {
			feeds = append(feeds, feed)
		}
	}
	if !apierrors.IsTooManyRequests(err) {
		t.Errorf("after %d watches: %v", len(feeds), err)
	}
	for _, feed := range feeds {
		feed.Stop()
	}
	for _, feed := range feeds {
		for open := true; open; {
			_, open = <-feed.ResultChan()
		}
	}
	w.watch(*opts)
}

func TestSelectionIsJudged(t *testing.T) {
	w := newWorld(t)
	w.server("main").history("m")
	_, err := w.list(w.ctx(), internalversion.ListOptions{LabelSelector: mustParse(t, "a=b")})
	if !apierrors.IsBadRequest(err) {
		t.Errorf("labels: %v", err)
	}
	for _, rv := range []string{"17", "bm9uc2Vuc2U", strings.Repeat("A", 1<<17)} {
		_, err = w.resources["deviceevents"].(rest.Watcher).Watch(w.ctx(), &internalversion.ListOptions{ResourceVersion: rv})
		if !apierrors.IsBadRequest(err) {
			t.Errorf("resourceVersion %.20s: %v", rv, err)
		}
	}
}

func TestEventsArePrinted(t *testing.T) {
	w := newWorld(t)
	list := &livev1alpha1.DeviceEventList{Items: []livev1alpha1.DeviceEvent{
		{Device: "anna", DeviceID: "A", Server: "main", HistoryEntry: livev1alpha1.HistoryEntry{Time: metav1.NewTime(noon), Type: "Failed", Profile: "wifi", Message: "no\n thanks"}},
		{DeviceID: "B", Server: "main", HistoryEntry: livev1alpha1.HistoryEntry{Time: metav1.NewTime(noon), Type: "Sent", Command: "lock"}},
	}}
	table, err := w.resources["deviceevents"].(rest.TableConvertor).ConvertToTable(w.ctx(), list, (runtime.Object)(nil))
	w.must(err)
	want := "[2026-07-01T12:00:00Z anna Failed profile/wifi no thanks main ][2026-07-01T12:00:00Z B Sent devicecommand/lock  main ]"
	if got := fmt.Sprint(table.Rows[0].Cells) + fmt.Sprint(table.Rows[1].Cells); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
