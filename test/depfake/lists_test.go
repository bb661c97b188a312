package depfake_test

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/depfake"
)

func TestAFetch(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.Add(devices("A", 250)...)
	records, cursor, pages := b.all(t, "/server/devices", "")
	if len(records) != 250 || pages != 3 {
		t.Errorf("%d devices in %d pages", len(records), pages)
	}
	for _, r := range records {
		if r.Op != "" || !r.OpAt.IsZero() || r.Device != b.Devices()[r.SerialNumber] || r.ProfileStatus != depfake.Empty {
			t.Fatalf("%+v", r)
		}
	}
	if a := b.do(t, http.MethodPost, "/server/devices", listBody(cursor, 100)); a.status != 400 || a.code(t) != "EXHAUSTED_CURSOR" {
		t.Errorf("fetching on: %d %s", a.status, a.body)
	}
	if news, next, _ := b.all(t, "/devices/sync", cursor); len(news) > 0 || next == "" {
		t.Errorf("%d changes when nothing changed", len(news))
	}
}

// Nothing is lost that happens while a client reads page after page, whatever happens.
func TestChangesWhileFetching(t *testing.T) {
	b := loggedIn(t, depfake.Options{Duplicate: 3})
	b.Add(devices("A", 250)...)
	var first page
	b.do(t, http.MethodPost, "/server/devices", listBody("", 100)).decode(t, &first)
	known := map[string]depfake.Device{}
	for _, d := range first.Devices {
		known[d.SerialNumber] = d.Device
	}
	if err := b.Delete("A3", "A200"); err != nil {
		t.Fatal(err)
	}
	if err := b.Modify("A4", func(d *depfake.Device) { d.AssetTag = "changed" }); err != nil {
		t.Fatal(err)
	}
	b.Add(devices("B", 10)...)
	rest, cursor, _ := b.all(t, "/server/devices", first.Cursor)
	for _, d := range rest {
		known[d.SerialNumber] = d.Device
	}
	changes, _, _ := b.all(t, "/devices/sync", cursor)
	replay(known, changes)
	if !reflect.DeepEqual(known, b.Devices()) || len(known) != 258 {
		t.Errorf("the client knows %d devices, the truth are %d", len(known), len(b.Devices()))
	}
}

func TestASync(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.Add(devices("A", 3)...)
	fetched, cursor, _ := b.all(t, "/server/devices", "")
	known := map[string]depfake.Device{}
	for _, d := range fetched {
		known[d.SerialNumber] = d.Device
	}
	b.Add(devices("B", 1)...)
	if err := b.Modify("A1", func(d *depfake.Device) { d.AssetTag, d.SerialNumber, d.ProfileUUID = "7", "X", "x" }); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete("A2"); err != nil {
		t.Fatal(err)
	}
	b.Add(devices("A", 3)[2])
	if err := b.Delete("A9"); err == nil {
		t.Error("a device that is not there was deleted")
	}
	b.Repeat("A2")
	changes, next, _ := b.all(t, "/devices/sync", cursor)
	ops := make([]string, len(changes))
	for i, c := range changes {
		ops[i] = c.SerialNumber + " " + c.Op
	}
	if want := []string{"B0 added", "A1 modified", "A2 deleted", "A2 added", "A2 added", "A2 deleted", "A2 added"}; !slices.Equal(ops, want) {
		t.Errorf("changes %v, want %v", ops, want)
	}
	if !changes[3].OpAt.After(changes[2].OpAt) || !changes[5].OpAt.Equal(changes[2].OpAt) {
		t.Errorf("dates %v, %v, %v", changes[2].OpAt, changes[3].OpAt, changes[5].OpAt)
	}
	replay(known, changes)
	if truth := b.Devices(); !reflect.DeepEqual(known, truth) || truth["A1"].AssetTag != "7" || truth["A1"].ProfileUUID != "" {
		t.Errorf("known %v\ntruth %v", known, truth)
	}
	if again, _, _ := b.all(t, "/devices/sync", next); len(again) > 0 {
		t.Errorf("%d changes more", len(again))
	}
}

func TestEventsThatComeTwice(t *testing.T) {
	b := loggedIn(t, depfake.Options{Duplicate: 1})
	_, cursor, _ := b.all(t, "/server/devices", "")
	b.Add(devices("A", 2)...)
	changes, _, _ := b.all(t, "/devices/sync", cursor)
	if len(changes) != 4 || changes[0] != changes[1] || changes[2] != changes[3] {
		t.Errorf("changes %+v", changes)
	}
}

func TestCursors(t *testing.T) {
	b := loggedIn(t, depfake.Options{PageSize: 2})
	b.Add(devices("A", 5)...)
	var p page
	b.do(t, http.MethodPost, "/server/devices", listBody("", 1000)).decode(t, &p)
	if len(p.Devices) != 2 || !p.MoreToFollow {
		t.Fatalf("page %+v", p)
	}
	_, final, _ := b.all(t, "/server/devices", "")
	for name, tc := range map[string]struct{ path, body, want string }{
		"none to a sync":             {"/devices/sync", `{}`, "CURSOR_REQUIRED"},
		"an empty one to a sync":     {"/devices/sync", `{"cursor":""}`, "CURSOR_REQUIRED"},
		"made up":                    {"/devices/sync", listBody("abc", 100), "INVALID_CURSOR"},
		"made up, to a fetch":        {"/server/devices", listBody("abc", 100), "INVALID_CURSOR"},
		"of an unfinished fetch":     {"/devices/sync", listBody(p.Cursor, 100), "INVALID_CURSOR"},
		"of a finished one to fetch": {"/server/devices", listBody(final, 100), "EXHAUSTED_CURSOR"},
		"a limit that is too small":  {"/server/devices", `{"limit":99}`, "LIMIT_INVALID"},
		"a limit that is too large":  {"/server/devices", `{"limit":1001}`, "LIMIT_INVALID"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := b.do(t, http.MethodPost, tc.path, tc.body); a.status != 400 || a.code(t) != tc.want {
				t.Errorf("%d %s, want %s", a.status, a.body, tc.want)
			}
		})
	}
	refused := func(want string) {
		t.Helper()
		if a := b.do(t, http.MethodPost, "/devices/sync", listBody(final, 100)); a.status != 400 || a.code(t) != want {
			t.Errorf("%d %s, want %s", a.status, a.body, want)
		}
	}
	b.clock.advance(depfake.CursorLife)
	b.login(t)
	if news, _, _ := b.all(t, "/devices/sync", final); len(news) > 0 {
		t.Errorf("%d changes", len(news))
	}
	b.clock.advance(time.Second)
	refused("EXPIRED_CURSOR")
	for want, act := range map[string]func(){
		"EXPIRED_CURSOR": b.ExpireCursors, "EXHAUSTED_CURSOR": b.ExhaustCursors, "INVALID_CURSOR": b.ForgetCursors,
	} {
		_, final, _ = b.all(t, "/server/devices", "")
		act()
		refused(want)
	}
}

func TestDetails(t *testing.T) {
	b := loggedIn(t, depfake.Options{})
	b.Add(devices("A", 1)...)
	var details struct{ Devices map[string]record }
	b.do(t, http.MethodPost, "/devices", `{"devices":["A0","X"]}`).decode(t, &details)
	if got := slices.Sorted(maps.Keys(details.Devices)); !slices.Equal(got, []string{"A0", "X"}) {
		t.Fatalf("devices %v", got)
	}
	if d := details.Devices["A0"]; d.Status != "SUCCESS" || d.Device != b.Devices()["A0"] {
		t.Errorf("%+v", d)
	}
	if d := details.Devices["X"]; d.Status != "NOT_ACCESSIBLE" {
		t.Errorf("%+v", d)
	}
}

// Thousands of devices are no trouble.
func TestManyDevices(t *testing.T) {
	b := loggedIn(t, depfake.Options{Rotate: 3})
	b.Add(devices("A", 5000)...)
	var cursor string
	seen := map[string]bool{}
	for n := 1; ; n++ {
		var p page
		b.do(t, http.MethodPost, "/server/devices", listBody(cursor, 1000)).decode(t, &p)
		for _, d := range p.Devices {
			seen[d.SerialNumber] = true
		}
		if cursor = p.Cursor; !p.MoreToFollow {
			if n != 5 || len(seen) != 5000 || !seen["A"+strconv.Itoa(4999)] {
				t.Errorf("%d devices in %d pages", len(seen), n)
			}
			return
		}
	}
}
