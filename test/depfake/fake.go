package depfake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/test/depfake/oauth1"
)

// Limits of the service.
const (
	MaxSerials    = 1000 // in one request
	MinLimit      = 100  // of a page
	MaxLimit      = 1000
	SessionLife   = 3 * time.Minute
	CursorLife    = 7 * 24 * time.Hour
	maxClockSkew  = 5 * time.Minute
	maxBody       = 1 << 20
	sessionHeader = "X-ADM-Auth-Session"
)

// Options are what a service is made with. The zero value is good.
type Options struct {
	Organization string // Example Inc.
	ServerName   string // KubeMDM; the server of the organisation to which the devices are assigned
	Now          func() time.Time
	// PageSize makes pages smaller than the client's limit. 0: no smaller.
	PageSize int
	// TokenLife is a year.
	TokenLife time.Duration
	// Rotate is after how many answers, on average, one carries a new session token; the former one ends then. 0: 8, negative: never.
	Rotate int
	// Duplicate is of how many events in a list of changes, on average, one is there twice. 0: 8, negative: none.
	Duplicate int
	// Seed makes the chances of two fakes differ.
	Seed uint64
}

// Fake is the service, an http.Handler. It is safe for concurrent use.
type Fake struct {
	options Options
	oauth   *oauth1.Verifier

	mu       sync.Mutex
	chance   *rand.Rand
	server   *server
	servers  map[string]*server // by consumer key
	cert     []byte             // the certificate that was uploaded last, DER
	sessions map[string]session
	ended    map[string]bool // sessions that were

	terms    bool
	throttle throttle
	faults   map[string][]Fault
	outcomes map[string]string // what a serial number is answered in place of SUCCESS

	devices  map[string]*listed
	events   []event
	lastOp   map[string]time.Time // of serial numbers
	cursors  map[string]*cursor
	profiles map[string]json.RawMessage
	calls    []Call

	requests map[string]int
	answers  map[string]int
}

// New makes a service without devices.
func New(o Options) (*Fake, error) {
	o.Organization, o.ServerName = cmp.Or(o.Organization, "Example Inc."), cmp.Or(o.ServerName, "KubeMDM")
	o.TokenLife, o.Rotate, o.Duplicate = cmp.Or(o.TokenLife, 365*24*time.Hour), cmp.Or(o.Rotate, 8), cmp.Or(o.Duplicate, 8)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.PageSize < 0 || o.PageSize > MaxLimit {
		return nil, fmt.Errorf("a page of %d devices: it must be 0 to %d", o.PageSize, MaxLimit)
	}
	f := &Fake{
		options: o, chance: rand.New(rand.NewPCG(o.Seed, 1)), //nolint:gosec // a test's chances must repeat
		servers: map[string]*server{}, sessions: map[string]session{}, ended: map[string]bool{}, faults: map[string][]Fault{},
		outcomes: map[string]string{}, devices: map[string]*listed{}, lastOp: map[string]time.Time{}, cursors: map[string]*cursor{},
		profiles: map[string]json.RawMessage{}, requests: map[string]int{}, answers: map[string]int{},
	}
	f.oauth = &oauth1.Verifier{Realm: "ADM", Skew: maxClockSkew, Now: o.Now, Find: f.credentials}
	f.server = f.newServer(o.ServerName)
	return f, nil
}

// Requests counts all requests by method and path, as "POST /devices/sync".
func (f *Fake) Requests() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.requests)
}

// Answers counts all answers by method, path, status and error code, as "POST /devices/sync 200" or "GET /session 403 T_C_NOT_SIGNED".
func (f *Fake) Answers() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.answers)
}

// ResetCounters makes Requests and Answers start anew.
func (f *Fake) ResetCounters() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.requests)
	clear(f.answers)
}

// reply is what a request is answered.
type reply struct {
	status int
	code   string // of an error
	body   any    // of a success, JSON
	header http.Header
	raw    []byte // in place of code and body
	reset  bool   // no answer at all
}

func ok(body any) *reply                     { return &reply{status: http.StatusOK, body: body} }
func failure(status int, code string) *reply { return &reply{status: status, code: code} }
func bad(code string) *reply                 { return failure(http.StatusBadRequest, code) }

// The service's endpoints; what works holds the lock.
var endpoints = map[string]func(*Fake, *http.Request, []byte) *reply{
	"GET /account":            (*Fake).account,
	"POST /server/devices":    (*Fake).fetch,
	"POST /devices/sync":      (*Fake).sync,
	"POST /devices":           (*Fake).details,
	"POST /devices/disown":    (*Fake).disown,
	"POST /profile":           (*Fake).define,
	"GET /profile":            (*Fake).profile,
	"POST /profile/devices":   (*Fake).assign,
	"PUT /profile/devices":    (*Fake).assign,
	"DELETE /profile/devices": (*Fake).remove,
}

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}

func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.Method + " " + r.URL.Path
	body, problem := readBody(w, r)
	f.mu.Lock()
	f.requests[name]++
	f.mu.Unlock()
	answer := problem
	if answer == nil {
		answer = f.handle(r, name, body)
	}
	f.write(w, r, name, answer)
}

func (f *Fake) handle(r *http.Request, name string, body []byte) *reply {
	work, known := endpoints[name]
	session := name == "GET /session"
	if !known && !session {
		return unknown(r)
	}
	if answer := checkHeader(r, len(body) > 0 || session); answer != nil {
		return answer
	}
	if session {
		return f.authenticate(r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	current := r.Header.Get(sessionHeader)
	if refusal := f.admit(current); refusal != nil {
		return refusal
	}
	answer := f.scripted(name, func() *reply { return work(f, r, body) })
	if answer.status == http.StatusOK && f.once(f.options.Rotate) {
		answer.header = http.Header{sessionHeader: {f.begin(f.sessions[current].server)}}
		f.end(current)
	}
	return answer
}

func unknown(r *http.Request) *reply {
	for _, method := range methods {
		if _, known := endpoints[method+" "+r.URL.Path]; known || r.URL.Path == "/session" {
			return failure(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
		}
	}
	return failure(http.StatusNotFound, "NOT_FOUND")
}

// product is how a user agent must begin (RFC 9110, section 10.1.5).
var product = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z-]+/[!#$%&'*+.^_|~0-9A-Za-z-]+( |$)`)

// checkHeader refuses what every request must have. The default of Go's client names no service, as Apple wants one.
func checkHeader(r *http.Request, withContent bool) *reply {
	agent := r.Header.Get("User-Agent")
	version, err := strconv.Atoi(r.Header.Get("X-Server-Protocol-Version"))
	media, _, mediaErr := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case agent == "":
		return bad("USER_AGENT_MISSING")
	case !product.MatchString(agent) || len(agent) > 255 || strings.HasPrefix(agent, "Go-http-client/"):
		return bad("USER_AGENT_INVALID")
	case err != nil || version < 1 || version > 10:
		return bad("PROTOCOL_VERSION_INVALID")
	case withContent && (mediaErr != nil || media != "application/json"):
		return bad("CONTENT_TYPE_INVALID")
	}
	return nil
}

// once is true once in n times.
func (f *Fake) once(n int) bool { return n > 0 && f.chance.IntN(n) == 0 }
