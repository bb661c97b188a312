package enroll_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/enroll"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
)

var (
	hashOfSecret = func() string { sum := sha256.Sum256([]byte(secret)); return hex.EncodeToString(sum[:]) }()
	errUnknown   = &fleet.About{Subject: "nothing", Err: fleet.ErrTokenUnknown}
	ring         = seal.Keyring{Primary: "k", Keys: map[string][]byte{"k": make([]byte, 32)}}
)

const deepLink = `href="ms-device-enrollment:?mode=mdm&amp;servername=https://mdm.example.com/EnrollmentServer/Discovery.svc"`

func TestEachPlatformSeesItsSteps(t *testing.T) {
	windowsSignIn := func(w *world) { w.Config.Windows.SignIn = &serverconfig.SignIn{} }
	for name, c := range map[string]struct {
		change          func(*world)
		path, userAgent string
		says, silent    []string
	}{
		"a Mac":                      {nil, "/", safari, []string{"Enrol your Mac", "Enrolment code", "System Settings", "Using an iPad?", "Example &amp; Sons"}, []string{"Sign in", "<script", "style="}},
		"an iPhone":                  {nil, "/", iPhone, []string{"Enrol your iPhone", "Enrolment code", "Profile Downloaded"}, []string{"Using an iPad?", "Open this page in Safari"}},
		"a PC":                       {nil, "/", edge, []string{"Enrol your Windows PC", "Enrolment code", "Access work or school"}, []string{deepLink, "enroll.mobileconfig"}},
		"a PC whose people sign in":  {windowsSignIn, "/", edge, []string{deepLink, "where you sign in with your work account"}, []string{"Enrolment code"}},
		"a view in an application":   {nil, "/", inApp, []string{"Open this page in Safari", `value="https://mdm.example.com/"`}, []string{"Enrolment code", "Profile Downloaded"}},
		"somebody who knows better":  {nil, "/?platform=ios", inApp, []string{"Enrolment code", "Profile Downloaded"}, []string{"Open this page in Safari"}},
		"an iPad that is called Mac": {nil, "/?platform=ios", safari, []string{"Enrol your iPhone or iPad", "Profile Downloaded"}, []string{"Using an iPad?"}},
		"an unknown choice":          {nil, "/?platform=amiga", safari, []string{"Enrol your Mac"}, nil},
		"a link on a Mac":            {nil, "/enroll/" + secret, safari, []string{`href="/enroll/S3CR3T-token?platform=mac&amp;download=1"`}, []string{"Enrolment code"}},
		"a link on an iPhone":        {nil, "/enroll/" + secret, iPhone, []string{`href="/enroll/S3CR3T-token?platform=ios&amp;download=1"`}, []string{"Enrolment code"}},
		"a link on a PC":             {nil, "/enroll/" + secret, edge, []string{deepLink, `value="S3CR3T-token"`}, []string{"download=1"}},
		"a link in an application":   {nil, "/enroll/" + secret, inApp, []string{`value="https://mdm.example.com/enroll/S3CR3T-token"`}, []string{"download=1"}},
		"a link where PCs sign in":   {windowsSignIn, "/enroll/" + secret, edge, []string{deepLink}, []string{secret + `"`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.change != nil {
				w = newWorld(t, c.change)
			}
			answer := w.get(c.path, c.userAgent)
			says(t, answer, http.StatusOK, append(c.says, "https://help.example.com/")...)
			silent(t, answer, c.silent...)
			if slices.Contains(w.calls, "ByToken") {
				t.Error("a look at the page began an enrolment")
			}
		})
	}
}

func TestWhoCanNotGoOnIsToldWhatToDo(t *testing.T) {
	link := "/enroll/" + secret
	appleOnly := func(w *world) { w.Config.Windows = nil }
	windowsOnly := func(w *world) { w.Config.Apple, w.Apple, w.Tools = nil, nil, nil }
	noPush := func(w *world) { w.topic = "" }
	fails := func(err error) func(*world) { return func(w *world) { w.err = err } }
	for name, c := range map[string]struct {
		change          func(*world)
		path, userAgent string
		status          int
		says            []string
	}{
		"unknown link":                 {nil, "/enroll/other", safari, 404, []string{"This link is not known", "capital and small letters"}},
		"expired link":                 {fails(fleet.ErrTokenExpired), link, safari, 410, []string{"This link has expired", "Ask your administrator"}},
		"exhausted link":               {fails(fleet.ErrTokenExhausted), link, iPhone, 410, []string{"This link is used up"}},
		"link for others":              {fails(fleet.ErrTokenPlatform), link, edge, 403, []string{"This link is not for Windows PCs"}},
		"store away":                   {fails(fleet.ErrUnavailable), link, safari, 503, []string{"Try again in a few minutes"}},
		"store broken":                 {fails(errors.New("disk on fire")), link, safari, 500, []string{"The server failed", "Trace id"}},
		"no push certificate":          {noPush, "/", safari, 503, []string{"Macs cannot enrol yet", "no push certificate"}},
		"link without push":            {noPush, link, iPhone, 503, []string{"iPhones and iPads cannot enrol yet"}},
		"Android":                      {nil, "/", android, 200, []string{"Open this page on the device", "?platform=mac", "?platform=windows"}},
		"link on Android":              {nil, link, android, 200, []string{"Open this page on the device"}},
		"PC at a server of Macs":       {appleOnly, "/", edge, 200, []string{"This server does not enrol Windows PCs"}},
		"Mac at a server of PCs":       {windowsOnly, "/", safari, 200, []string{"This server does not enrol Macs"}},
		"no pass":                      {nil, "/enroll-page/pass/AAAA", safari, 410, []string{"This page has expired", "Start again"}},
		"a pass that is far too long":  {nil, "/enroll-page/pass/" + strings.Repeat("A", 5000), safari, 410, []string{"This page has expired"}},
		"download of an expired token": {fails(fleet.ErrTokenExpired), link + "?download=1", safari, 410, []string{"This link has expired"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.change != nil {
				w = newWorld(t, c.change)
			}
			answer := w.get(c.path, c.userAgent)
			says(t, answer, c.status, append(c.says, "https://help.example.com/")...)
			if retry := answer.Header().Get("Retry-After") != ""; retry != (c.status == 503) {
				t.Errorf("asked to come again: %v", retry)
			}
			if log := w.log.String(); strings.Contains(log, secret) || strings.Contains(log, "/enroll") || (c.status == 200) != (log == "") {
				t.Errorf("the log: %s", log)
			}
		})
	}
}

// A PC needs no push certificate.
func TestAPCEnrolsWithoutPushCertificate(t *testing.T) {
	w := newWorld(t, func(w *world) { w.topic = "" })
	says(t, w.get("/enroll/"+secret, edge), http.StatusOK, deepLink)
}

func TestACodeLeadsToTheProfileAndNeverIntoAnAddress(t *testing.T) {
	for name, code := range map[string]string{"as it is": secret, "with blanks": "  " + secret + "\n", "in its link": "https://mdm.example.com/enroll/" + secret + "?x=1"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			answer := w.enter(safari, code)
			next := answer.Header().Get("Location")
			if answer.Code != http.StatusSeeOther || strings.Contains(next, secret) || strings.Contains(answer.Body.String(), secret) {
				t.Fatalf("status %d to %s", answer.Code, next)
			}
			page := w.get(next, safari)
			says(t, page, http.StatusOK, "Download the profile")
			download := regexp.MustCompile(`href="([^"]*download=1)"`).FindStringSubmatch(page.Body.String())
			if download == nil {
				t.Fatal("there is no download")
			}
			file := w.get(strings.ReplaceAll(download[1], "&amp;", "&"), safari)
			if file.Body.String() != "profile" || file.Header().Get("Content-Type") != "application/x-apple-aspen-config" ||
				file.Header().Get("Content-Disposition") != `attachment; filename="enroll.mobileconfig"` || file.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("downloaded %q with %v", file.Body, file.Header())
			}
			w.now = w.now.Add(10 * time.Minute)
			says(t, w.get(next, safari), http.StatusGone, "This page has expired")
			if strings.Contains(w.log.String(), secret) {
				t.Errorf("the log: %s", w.log.String())
			}
		})
	}
}

// A PC shows the code again, since Windows asks for it.
func TestACodeOnAPCIsThePassword(t *testing.T) {
	w := newWorld(t)
	answer := w.enter(edge, secret)
	says(t, w.get(answer.Header().Get("Location"), edge), http.StatusOK, deepLink, `value="S3CR3T-token"`)
}

func TestAWrongFormIsExplained(t *testing.T) {
	foreign := form(safari, url.Values{"code": {secret}})
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	foreign.Header.Set("Origin", "https://evil.example.org")
	old := form(safari, url.Values{"code": {secret}}) // a browser that sends the origin only
	old.Header.Del("Sec-Fetch-Site")
	for name, c := range map[string]struct {
		request *http.Request
		status  int
		says    string
	}{
		"nothing":           {form(safari, url.Values{}), 400, "Enter your code"},
		"blanks":            {form(safari, url.Values{"code": {" "}}), 400, "Enter your code"},
		"a wrong code":      {form(safari, url.Values{"code": {"S3CR3T-tokem"}}), 404, "This code is not known"},
		"a long code":       {form(safari, url.Values{"code": {strings.Repeat("x", 600)}}), 404, "This code is not known"},
		"a book":            {form(safari, url.Values{"code": {strings.Repeat("x", 9000)}}), 400, "The form could not be read"},
		"another site":      {foreign, 403, "The code came from another website"},
		"an old browser":    {old, 303, ""},
		"another platform":  {form(safari, url.Values{"code": {"x"}, "platform": {"windows"}}), 404, "Enrol your Windows PC"},
		"no platform known": {form(android, url.Values{"code": {secret}}), 200, "Open this page on the device"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			answer := w.do(c.request)
			says(t, answer, c.status, c.says)
			if again := strings.Contains(answer.Body.String(), `name="code"`); again != (c.status >= 400) {
				t.Errorf("the form is shown again: %v", again)
			}
		})
	}
}

func TestGuessingIsBounded(t *testing.T) {
	w := newWorld(t)
	tool := func(token string) *httptest.ResponseRecorder {
		return w.do(httptest.NewRequest(http.MethodGet, "https://mdm.example.com/enroll/"+token, nil))
	}
	for i := range 20 { // all ways count together
		answer := []func() *httptest.ResponseRecorder{
			func() *httptest.ResponseRecorder { return w.enter(safari, "wrong") },
			func() *httptest.ResponseRecorder { return w.get("/enroll/wrong", safari) },
			func() *httptest.ResponseRecorder { return tool("wrong") },
		}[i%3]()
		if answer.Code != http.StatusNotFound {
			t.Fatalf("try %d: status %d", i, answer.Code)
		}
	}
	answers := []*httptest.ResponseRecorder{w.enter(safari, secret), w.get("/enroll/"+secret, safari), tool(secret)}
	for _, answer := range answers {
		says(t, answer, http.StatusTooManyRequests, "Wait a minute")
		if answer.Header().Get("Retry-After") == "" {
			t.Error("nobody is told when to come again")
		}
	}
	elsewhere := ask(http.MethodGet, "/enroll/"+secret, safari)
	elsewhere.RemoteAddr = "[2001:db8::1]:4711"
	says(t, w.do(elsewhere), http.StatusOK)
	w.now = w.now.Add(4 * time.Second)
	says(t, w.get("/enroll/"+secret, safari), http.StatusOK)
}

// What is no browser gets the profile as ever, and previews of links begin nothing.
func TestToolsGetTheProfile(t *testing.T) {
	page := "text/html"
	for name, c := range map[string]struct {
		method, accept, dest, path string
		want                       []string
	}{
		"curl":                 {"GET", "*/*", "", "/enroll/" + secret, []string{"Tools GET"}},
		"a device":             {"GET", "", "", "/enroll/" + secret, []string{"Tools GET"}},
		"curl that downloads":  {"GET", "*/*", "", "/enroll/" + secret + "?download=1", []string{"Tools GET"}},
		"a preview":            {"HEAD", "*/*", "", "/enroll/" + secret, []string{"Tools HEAD"}},
		"a page's own request": {"GET", page, "empty", "/enroll/" + secret, []string{"Tools GET"}},
		"a browser":            {"GET", page, "document", "/enroll/" + secret, []string{"CheckToken Apple"}},
		"an old browser":       {"GET", page, "", "/enroll/" + secret, []string{"CheckToken Apple"}},
		"a browser's download": {"GET", page, "document", "/enroll/" + secret + "?download=1", []string{"CheckToken Apple", "ByToken"}},
		"a preview of that":    {"HEAD", page, "document", "/enroll/" + secret + "?download=1", []string{"CheckToken Apple"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := httptest.NewRequest(c.method, "https://mdm.example.com"+c.path, nil)
			r.Header.Set("User-Agent", safari)
			r.Header.Set("Accept", c.accept)
			r.Header.Set("Sec-Fetch-Dest", c.dest)
			if w.do(r); !slices.Equal(w.calls, c.want) {
				t.Errorf("got %q, want %q", w.calls, c.want)
			}
		})
	}
}

func TestThePageMayDoNothingButItsOwn(t *testing.T) {
	w := newWorld(t)
	for path, referrer := range map[string]string{"/": "same-origin", "/enroll/" + secret: "no-referrer", "/enroll/wrong": "no-referrer"} {
		header := w.get(path, safari).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"Referrer-Policy":         referrer, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin",
			"X-Robots-Tag": "noindex", "Content-Type": "text/html; charset=utf-8", "Set-Cookie": "", "Strict-Transport-Security": "",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if header.Get("Permissions-Policy") == "" {
			t.Errorf("%s: no Permissions-Policy", path)
		}
	}
}

func TestOldAddressesLeadToThePage(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]string{"/enroll": "/", "/enroll/": "/", "/enroll-page/code?platform=ios&x=1": "/?platform=ios", "/enroll?platform=//evil": "/"} {
		answer := w.get(path, safari)
		if answer.Code != http.StatusSeeOther || answer.Header().Get("Location") != want {
			t.Errorf("%s leads with %d to %s, want %s", path, answer.Code, answer.Header().Get("Location"), want)
		}
	}
}

func TestNewRefusesAColourThatIsNone(t *testing.T) {
	w := newWorld(t)
	w.Config.Page.Color = "red"
	if _, err := enroll.New(w.Options); err == nil {
		t.Error("no error")
	}
}
