// Package replicas has a server of three pods on PostgreSQL do its work on a real cluster while they are killed and replaced and while their database comes
// and goes, under devices that never stop to connect.
package replicas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// A request is tried again after these pauses, as long as patience is not over since it was made. A real device has more of both.
var pauses = []time.Duration{500 * time.Millisecond, 2 * time.Second}

const (
	patience = 5 * time.Second
	// tryLimit is how long a device waits for an answer before it tries again.
	tryLimit = 3 * time.Second
)

// again is how long a device waits after a connection that failed.
const again = 250 * time.Millisecond

// traffic is what devices experience that connect one time after the other.
type traffic struct {
	mu    sync.Mutex
	lanes []*lane
	tally
}

// lane is one device.
type lane struct {
	name string
	// connect lets the device connect once, and pause is how long it waits until the next time.
	connect func(context.Context) error
	pause   time.Duration
	// patient devices wait long before they connect again.
	patient bool

	// Guarded by traffic.mu: when its requests began to fail, if they do, when it last connected well, and how many requests have failed in all.
	since, last time.Time
	failed      int
}

// tally counts from some time on.
type tally struct {
	// requests that devices made, those of them that were answered only when they were tried again, and those that were not.
	requests, retried, failed int
	// outage is the longest time from a try that failed to a device's next one that went well.
	outage time.Duration
	// refusals are answers by status, and why there was none. impatient are those by which the server did not say when to come back.
	refusals  map[string]int
	impatient int
	// broken connections are those that ended before the device had said all; first is why the first one did.
	broken int
	first  error
	// recovery is how long it took at the end until each device that is not patient had connected.
	recovery time.Duration
}

func (t *tally) String() string {
	text := fmt.Sprintf("%d requests, %d tried again, %d failed; no device without the server for longer than %.1f s", t.requests, t.retried, t.failed, t.outage.Seconds())
	if len(t.refusals) > 0 {
		text += fmt.Sprintf("; refusals: %v", t.refusals)
	}
	return text
}

type laneKey struct{}

// carry is devicesim.Network.Around: it tries a request again, and takes down what became of it.
func (t *traffic) carry(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	l, counted := request.Context().Value(laneKey{}).(*lane)
	if !counted {
		return next.RoundTrip(request)
	}
	start := time.Now()
	for try := 0; ; try++ {
		began, limit := time.Now(), tryLimit
		if try == len(pauses) {
			limit = patience
		}
		response, err := exchange(request, next, limit)
		good := err == nil && response.StatusCode < http.StatusBadRequest
		last := good || try == len(pauses) || time.Since(start)+pauses[try] > patience || !passing(response, err)
		t.tried(l, began, response, err)
		if last {
			t.ended(l, good, try)
			return response, err
		}
		select {
		case <-request.Context().Done():
			return nil, request.Context().Err()
		case <-time.After(pauses[try]):
		}
		if request, err = repeat(request); err != nil {
			return nil, err
		}
	}
}

// exchange reads the whole answer: a pod may go in the middle of it. Errors tell on what connection.
func exchange(request *http.Request, next http.RoundTripper, limit time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), limit)
	defer cancel()
	connection := "no connection"
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		connection = "a new connection"
		if got.Reused {
			connection = "a kept connection"
		}
	}})
	response, err := answer(request.WithContext(ctx), next)
	if err != nil {
		return nil, fmt.Errorf("%w on %s", cause(err), connection)
	}
	return response, nil
}

func answer(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	response, err := next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// passing says whether the same request may fare better later.
func passing(response *http.Response, err error) bool {
	return err != nil || response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests
}

func repeat(request *http.Request) (*http.Request, error) {
	once := request.Clone(request.Context())
	if request.GetBody == nil {
		return once, nil
	}
	var err error
	once.Body, err = request.GetBody()
	return once, err
}

// tried takes a try down.
func (t *traffic) tried(l *lane, began time.Time, response *http.Response, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && response.StatusCode < http.StatusBadRequest {
		if !l.since.IsZero() {
			t.outage = max(t.outage, time.Since(l.since))
		}
		l.since = time.Time{}
		return
	}
	if err != nil {
		t.refusals[err.Error()]++
	} else {
		t.refusals[http.StatusText(response.StatusCode)]++
		if response.Header.Get("Retry-After") == "" {
			t.impatient++
		}
	}
	if l.since.IsZero() {
		l.since = began
	}
}

// cause is the innermost error, which names no address.
func cause(err error) error {
	for next := err; next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// ended takes a request down after its last try.
func (t *traffic) ended(l *lane, good bool, tries int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	switch {
	case !good:
		t.failed++
		l.failed++
	case tries > 0:
		t.retried++
	}
}

// start lets every device connect without end, until stop is called and each has connected a last time.
func (t *traffic) start(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	var group sync.WaitGroup
	for _, l := range t.lanes {
		group.Go(func() { t.run(ctx, l, done) })
	}
	return func() {
		close(done)
		group.Wait()
	}
}

// run lets one device connect until done is closed and the last connection went well, or ctx ends.
func (t *traffic) run(ctx context.Context, l *lane, done <-chan struct{}) {
	ctx = context.WithValue(ctx, laneKey{}, l)
	for last := false; ; {
		select {
		case <-done:
			last = true
		default:
		}
		err := l.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		t.connected(l, err)
		wait := l.pause
		if err != nil {
			wait = again
		} else if last {
			return
		}
		select {
		case <-ctx.Done():
		case <-done:
		case <-time.After(wait):
		}
	}
}

func (t *traffic) connected(l *lane, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		l.last = time.Now()
		return
	}
	t.broken++
	if t.first == nil {
		t.first = fmt.Errorf("%s: %w", l.name, err)
	}
}

// reset begins a new tally.
func (t *traffic) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tally = tally{refusals: map[string]int{}}
}

// counted is the tally so far.
func (t *traffic) counted() tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tally
}

// missing counts the devices that have not connected since some time; patient ones are counted only if all is true.
func (t *traffic) missing(since time.Time, all bool) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, l := range t.lanes {
		if !l.last.After(since) && (all || !l.patient) {
			n++
		}
	}
	return n
}

// refused counts the devices whose last request was refused.
func (t *traffic) refused() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, l := range t.lanes {
		if !l.since.IsZero() {
			n++
		}
	}
	return n
}
