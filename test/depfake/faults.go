package depfake

import (
	"net/http"
	"strconv"
	"time"
)

// Fault is what the service does in place of an answer.
type Fault struct {
	Status int `json:"status,omitempty"`
	// Code is the body of an error, without the quotes.
	Code string `json:"code,omitempty"`
	// Body goes in place of Code, as it is; it is HTML unless the header says otherwise.
	Body   string      `json:"body,omitempty"`
	Header http.Header `json:"header,omitempty"`
	// Reset breaks the connection off.
	Reset bool `json:"reset,omitempty"`
	// Done lets the service do its work before: what is lost is the answer.
	Done bool `json:"done,omitempty"`
}

// Error is a fault with one of Apple's error codes.
func Error(status int, code string) Fault { return Fault{Status: status, Code: code} }

// WebPage is a fault of what stands in front of the service.
func WebPage(status int) Fault {
	return Fault{Status: status, Body: "<!DOCTYPE html><html><head><title>Apple</title></head><body>We'll be back soon.</body></html>"}
}

// RetryLater is a fault with a Retry-After, such as 503.
func RetryLater(status int, after time.Duration) Fault {
	return Fault{Status: status, Code: "THROTTLED", Header: retryAfter(after)}
}

// Lost is a request whose work is done and whose answer is not heard.
func Lost() Fault { return Fault{Reset: true, Done: true} }

func retryAfter(after time.Duration) http.Header {
	return http.Header{"Retry-After": {strconv.Itoa(int(after.Seconds()))}}
}

// throttle is how many requests are still to be refused.
type throttle struct {
	requests int
	after    time.Duration
}

// Fail answers the next requests to an endpoint, as "POST /profile", with faults. Requests that are refused for themselves, such as those of a
// session that ended, use no fault up. Endpoints that do not exist never fail.
func (f *Fake) Fail(endpoint string, faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[endpoint] = append(f.faults[endpoint], faults...)
}

// Throttle answers the next n requests to all endpoints but /session with 429.
func (f *Fake) Throttle(n int, after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.throttle = throttle{n, after}
}

// SetTerms makes the service wait, or no longer, for the organisation to accept its latest terms and conditions.
func (f *Fake) SetTerms(pending bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.terms = pending
}

// SetOutcome answers assignments, removals and disowning of a serial number with FAILED or THROTTLED and does nothing to it, until it is called
// with "". Clients of a protocol version before 9 do not know THROTTLED and get FAILED.
func (f *Fake) SetOutcome(serial, outcome string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcomes[serial] = outcome
}

// scripted does the work unless a fault is due; the lock must be held.
func (f *Fake) scripted(name string, work func() *reply) *reply {
	if f.throttle.requests > 0 && name != "GET /session" {
		f.throttle.requests--
		return &reply{status: http.StatusTooManyRequests, code: "THROTTLED", header: retryAfter(f.throttle.after)}
	}
	due := f.faults[name]
	if len(due) == 0 {
		return work()
	}
	f.faults[name] = due[1:]
	fault := due[0]
	if fault.Done {
		work()
	}
	a := &reply{status: fault.Status, code: fault.Code, header: fault.Header.Clone(), reset: fault.Reset}
	if a.status == 0 {
		a.status = http.StatusInternalServerError
	}
	if fault.Body != "" || fault.Code == "" {
		a.raw = []byte(fault.Body)
	}
	return a
}
