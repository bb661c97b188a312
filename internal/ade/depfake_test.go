package ade_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/ade"
	"github.com/kubemdm/kubemdm/test/depfake"
)

// clock can be moved. Apple's may differ from that of a signature by less than five minutes.
type clock struct {
	mu   sync.Mutex
	past time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.past)
}

func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past += by
}

// apple is the service and a client that has its token from an uploaded certificate.
type apple struct {
	*depfake.Server
	*ade.Client
	pair  pair
	token ade.Token
}

func newApple(t *testing.T, o depfake.Options) *apple {
	t.Helper()
	a := &apple{Server: depfake.Start(t, o), pair: ours(t)}
	p7m, err := a.Upload(a.pair.certPEM)
	must(t, err)
	a.token = a.open(t, p7m)
	a.Client = a.connect(t, a.token)
	return a
}

func (a *apple) open(t *testing.T, p7m []byte) ade.Token {
	t.Helper()
	got, err := ade.OpenToken(p7m, a.pair.cert, a.pair.key)
	must(t, err)
	return got
}

func (a *apple) connect(t *testing.T, token ade.Token) *ade.Client {
	t.Helper()
	c, err := ade.New(token, ade.Options{URL: a.URL, Roots: a.Roots})
	must(t, err)
	return c
}

// profile is one that Apple takes: with an anchor that is a certificate.
func (a *apple) profile() ade.Profile {
	p := profile
	p.AnchorCerts = [][]byte{a.pair.cert.Raw}
	return p
}

// macs adds devices.
func (a *apple) macs(from, to int) (serials []string) {
	for i := from; i < to; i++ {
		serials = append(serials, fmt.Sprintf("C02%05d", i))
		a.Add(depfake.Device{SerialNumber: serials[len(serials)-1], AssetTag: "new"})
	}
	return serials
}

// list follows the pages of a fetch (from "") or a sync, and applies them to what is known.
func (a *apple) list(t *testing.T, from string, known map[string]ade.Device) (cursor string) {
	t.Helper()
	call := a.Sync
	if from == "" {
		call = a.Fetch
	}
	newest := map[string]time.Time{}
	for page := (ade.Page{Cursor: from, More: true}); page.More; from = page.Cursor {
		var err error
		page, err = call(t.Context(), from)
		must(t, err)
		for _, d := range page.Devices {
			if d.OpAt.Before(newest[d.SerialNumber]) {
				continue
			}
			newest[d.SerialNumber] = d.OpAt
			known[d.SerialNumber] = d
			if d.Op == ade.Deleted {
				delete(known, d.SerialNumber)
			}
		}
	}
	return from
}

// compare says whether what is known is the truth.
func (a *apple) compare(t *testing.T, known map[string]ade.Device) {
	t.Helper()
	truth := a.Devices()
	for serial, d := range known {
		is := truth[serial]
		want := ade.Device{
			SerialNumber: serial, Model: is.Model, Description: is.Description, Color: is.Color, AssetTag: is.AssetTag, Family: is.Family, OS: is.OS,
			ProfileUUID: is.ProfileUUID, ProfileStatus: is.ProfileStatus, AssignedBy: is.AssignedBy, AssignedAt: is.AssignedAt, Op: d.Op, OpAt: d.OpAt,
		}
		if d != want {
			t.Fatalf("known: %+v\n truth: %+v", d, want)
		}
	}
	if len(known) != len(truth) {
		t.Errorf("%d devices are known, there are %d", len(known), len(truth))
	}
}

func TestTheTokenFromThePortal(t *testing.T) {
	a := newApple(t, depfake.Options{})
	if want := ade.Token(a.Token()); a.token != want {
		t.Errorf("%#v", a.token)
	}
	account, err := a.Account(t.Context())
	if err != nil || account.OrganizationName != "Example Inc." || account.ServerName != "KubeMDM" || account.ServerUUID == "" {
		t.Errorf("%v %+v", err, account)
	}
	p7m, err := a.Renew()
	must(t, err)
	renewed := a.open(t, p7m)
	if renewed.ConsumerKey != a.token.ConsumerKey || renewed.AccessToken == a.token.AccessToken {
		t.Error("it was not renewed")
	}
	_, err = a.Account(t.Context())
	if f := failure(t, err); f.Kind != ade.Revoked {
		t.Errorf("the former token: %s %v", f.Kind, f)
	}
	if _, err := a.connect(t, renewed).Account(t.Context()); err != nil {
		t.Error(err)
	}
	p7m, err = a.RenewAsAnotherServer()
	must(t, err)
	if other := a.open(t, p7m); other.ConsumerKey == a.token.ConsumerKey {
		t.Error("another server has the same consumer key")
	}
	p7m, err = a.Upload(theirs(t).certPEM)
	must(t, err)
	var refusal *ade.Refusal
	if _, err := ade.OpenToken(p7m, a.pair.cert, a.pair.key); !errors.As(err, &refusal) || refusal.Reason != ade.ReasonTokenForAnotherKey {
		t.Error(err)
	}
	p7m, err = a.Upload(a.pair.certPEM)
	must(t, err)
	for _, n := range []int{10, 200, 700, len(p7m) / 2, len(p7m) - 9} {
		if _, err := ade.OpenToken(p7m[:n], a.pair.cert, a.pair.key); !errors.As(err, &refusal) || refusal.Reason != ade.ReasonTokenUnreadable {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// Sessions rotate at every second answer and end after three minutes; some events come twice.
func TestListsAndAssignmentsAreTheTruth(t *testing.T) {
	fast := &clock{past: -4 * time.Minute}
	a := newApple(t, depfake.Options{Rotate: 2, Duplicate: 3, Now: fast.now})
	serials := a.macs(0, 2500)
	known := map[string]ade.Device{}
	cursor := a.list(t, "", known)
	a.compare(t, known)
	if n := a.Requests()["POST /server/devices"]; n != 3 {
		t.Errorf("%d pages", n)
	}
	fast.move(4 * time.Minute)
	uuid, err := a.Define(t.Context(), a.profile())
	must(t, err)
	got, err := a.Profile(t.Context(), uuid)
	if err != nil || got.Digest() != a.profile().Digest() {
		t.Errorf("%v %+v", err, got)
	}
	for chunk := range slices.Chunk(serials, ade.MaxChunk) {
		results, err := a.Assign(t.Context(), uuid, chunk)
		must(t, err)
		for _, serial := range chunk {
			if results[serial] != ade.Success {
				t.Errorf("%s: %q", serial, results[serial])
			}
		}
	}
	a.macs(2500, 2700)
	must(t, a.Delete(serials[:100]...))
	must(t, a.Modify(serials[200], func(d *depfake.Device) { d.AssetTag = "moved" }))
	a.Repeat(serials[50])
	results, err := a.Remove(t.Context(), serials[300:310])
	if err != nil || results[serials[300]] != ade.Success {
		t.Errorf("%v %v", err, results)
	}
	results, err = a.Disown(t.Context(), []string{serials[0], serials[400]})
	if err != nil || results[serials[0]] != ade.NotAccessible || results[serials[400]] != ade.Success {
		t.Errorf("%v %v", err, results)
	}
	fast.move(4 * time.Minute)
	cursor = a.list(t, cursor, known)
	a.compare(t, known)
	before := a.Requests()
	a.list(t, cursor, known)
	if before["POST /devices/sync"]++; !reflect.DeepEqual(a.Requests(), before) {
		t.Errorf("a sync without news: %v, want %v", a.Requests(), before)
	}
}

func TestOutcomesOfDevices(t *testing.T) {
	a := newApple(t, depfake.Options{})
	a.macs(0, 3)
	a.SetOutcome("C0200001", depfake.Failed)
	uuid, err := a.Define(t.Context(), a.profile())
	must(t, err)
	serials := []string{"C0200000", "C0200001", "C0200002", "NOBODYS"}
	got, err := a.Assign(t.Context(), uuid, serials)
	want := map[string]ade.Result{"C0200000": ade.Success, "C0200001": ade.Failed, "C0200002": ade.Success, "NOBODYS": ade.NotAccessible}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v", err, got)
	}
	a.SetOutcome("C0200002", depfake.Throttled)
	got, err = a.Assign(t.Context(), uuid, serials)
	want["C0200002"] = ade.Deferred
	if f := failure(t, err); f.Kind != ade.Throttled || f.RetryAfter != time.Minute || !reflect.DeepEqual(got, want) {
		t.Errorf("%s %s %v", f.Kind, f.RetryAfter, got)
	}
}

// Every trouble has its kind, and what was asked is done when the trouble is over.
func TestTroubles(t *testing.T) {
	const assign, session = "PUT /profile/devices", "GET /session"
	forbidden := depfake.Error(403, "FORBIDDEN")
	for name, c := range map[string]struct {
		begin func(*apple)
		end   func(*apple)
		kind  ade.Kind
		wait  time.Duration
	}{
		"terms":                  {func(a *apple) { a.SetTerms(true) }, func(a *apple) { a.SetTerms(false) }, ade.Terms, 0},
		"429":                    {func(a *apple) { a.Throttle(1, time.Minute) }, nil, ade.Throttled, time.Minute},
		"503":                    {func(a *apple) { a.Fail(assign, depfake.Error(503, "SERVICE_UNAVAILABLE")) }, nil, ade.Unavailable, 0},
		"503 with a time":        {func(a *apple) { a.Fail(assign, depfake.RetryLater(503, time.Hour)) }, nil, ade.Throttled, time.Hour},
		"a web page":             {func(a *apple) { a.Fail(assign, depfake.WebPage(502)) }, nil, ade.Unavailable, 0},
		"a web page as answer":   {func(a *apple) { a.Fail(assign, depfake.WebPage(200)) }, nil, ade.Unavailable, 0},
		"the answer is lost":     {func(a *apple) { a.Fail(assign, depfake.Lost()) }, nil, ade.Unavailable, 0},
		"no answer":              {func(a *apple) { a.Fail(assign, depfake.Fault{Reset: true}) }, nil, ade.Unavailable, 0},
		"no session":             {func(a *apple) { a.EndSessions(false); a.Fail(session, depfake.Error(500, "INTERNAL_ERROR")) }, nil, ade.Unavailable, 0},
		"an unknown 4xx":         {func(a *apple) { a.Fail(assign, depfake.Error(400, "NEW_CODE")) }, nil, ade.Refused, 0},
		"401, and 401 again":     {func(a *apple) { a.Fail(assign, depfake.Fault{Status: 401}, depfake.Fault{Status: 401}) }, nil, ade.Revoked, 0},
		"403, and 403 again":     {func(a *apple) { a.Fail(assign, forbidden, forbidden) }, nil, ade.Revoked, 0},
		"access":                 {func(a *apple) { a.Fail(assign, depfake.Error(403, "ACCESS_DENIED")) }, nil, ade.Revoked, 0},
		"401 once":               {func(a *apple) { a.Fail(assign, depfake.Fault{Status: 401}) }, nil, "", 0},
		"the session ended":      {func(a *apple) { a.EndSessions(false) }, nil, "", 0},
		"the session was forgot": {func(a *apple) { a.EndSessions(true) }, nil, "", 0},
	} {
		a := newApple(t, depfake.Options{})
		a.macs(0, 1)
		uuid, err := a.Define(t.Context(), a.profile())
		must(t, err)
		c.begin(a)
		_, err = a.Assign(t.Context(), uuid, []string{"C0200000"})
		if c.kind == "" {
			must(t, err)
		} else if f := failure(t, err); f.Kind != c.kind || f.RetryAfter != c.wait {
			t.Errorf("%s: %s, %s: %v", name, f.Kind, f.RetryAfter, f)
		}
		if c.end != nil {
			c.end(a)
		}
		got, err := a.Assign(t.Context(), uuid, []string{"C0200000"})
		if err != nil || got["C0200000"] != ade.Success || a.Devices()["C0200000"].ProfileUUID != uuid {
			t.Errorf("%s: and then %v %v", name, err, got)
		}
	}
}

func TestCursorsThatEnd(t *testing.T) {
	a := newApple(t, depfake.Options{PageSize: 100})
	a.macs(0, 150)
	for kind, end := range map[ade.Kind]func(){
		ade.CursorExpired: a.ExpireCursors, ade.CursorExhausted: a.ExhaustCursors, ade.CursorInvalid: a.ForgetCursors,
	} {
		known := map[string]ade.Device{}
		synced := a.list(t, "", known)
		page, err := a.Fetch(t.Context(), "")
		must(t, err)
		if !page.More {
			t.Fatal("the list is too short for this test")
		}
		end()
		_, err = a.Fetch(t.Context(), page.Cursor)
		if f := failure(t, err); f.Kind != kind {
			t.Errorf("a fetch: %s, not %s", f.Kind, kind)
		}
		_, err = a.Sync(t.Context(), synced)
		if f := failure(t, err); f.Kind != kind {
			t.Errorf("a sync: %s, not %s", f.Kind, kind)
		}
		clear(known)
		a.list(t, "", known)
		a.compare(t, known)
	}
}

func TestProfilesThatAreGone(t *testing.T) {
	a := newApple(t, depfake.Options{})
	a.macs(0, 1)
	uuid, err := a.Define(t.Context(), a.profile())
	must(t, err)
	a.ForgetProfile(uuid)
	_, err = a.Profile(t.Context(), uuid)
	if f := failure(t, err); f.Kind != ade.ProfileNotFound {
		t.Errorf("%s %v", f.Kind, f)
	}
	_, err = a.Assign(t.Context(), uuid, []string{"C0200000"})
	if f := failure(t, err); f.Kind != ade.ProfileNotFound {
		t.Errorf("%s %v", f.Kind, f)
	}
	_, err = a.Define(t.Context(), ade.Profile{ProfileName: "without a URL"})
	if f := failure(t, err); f.Kind != ade.Refused || f.Code == "" || !strings.Contains(f.Message, f.Code) {
		t.Errorf("%s %v", f.Kind, f)
	}
}

func TestTokensThatEnd(t *testing.T) {
	fast := &clock{}
	a := newApple(t, depfake.Options{TokenLife: time.Minute, Now: fast.now})
	_, err := a.Account(t.Context())
	must(t, err)
	a.Revoke()
	_, err = a.Account(t.Context())
	if f := failure(t, err); f.Kind != ade.Revoked || f.Status != http.StatusUnauthorized || !strings.Contains(f.Message, "any more") {
		t.Errorf("%s %v", f.Kind, f)
	}
	p7m, err := a.Renew()
	must(t, err)
	fast.move(4 * time.Minute)
	expired, err := ade.New(a.open(t, p7m), ade.Options{URL: a.URL, Roots: a.Roots, Now: fast.now})
	must(t, err)
	_, err = expired.Account(t.Context())
	if f := failure(t, err); f.Kind != ade.Revoked || !strings.Contains(f.Message, "the token expired at") {
		t.Errorf("%s %v", f.Kind, f)
	}
}

func TestClocksThatDiffer(t *testing.T) {
	fast := &clock{past: time.Hour}
	a := newApple(t, depfake.Options{Now: fast.now})
	_, err := a.Account(t.Context())
	if f := failure(t, err); f.Kind != ade.ClockSkewed || !strings.Contains(f.Message, "NTP") {
		t.Errorf("%s %v", f.Kind, f)
	}
	fast.move(-time.Hour)
	if _, err := a.Account(t.Context()); err != nil {
		t.Error(err)
	}
}
