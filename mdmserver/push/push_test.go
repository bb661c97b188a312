package push_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/push"
	"github.com/kubemdm/kubemdm/test/apnsfake"
	"github.com/kubemdm/kubemdm/test/pki"
)

const topic = "com.apple.mgmt.External.1"

// queue is a fleet in which channels become due when the test says so.
type queue struct {
	signal chan struct{}

	mu   sync.Mutex
	due  []fleet.Wake
	done []fleet.WakeResult
}

func (q *queue) Wakes(_ context.Context, limit int) ([]fleet.Wake, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(limit, len(q.due))
	taken := q.due[:n]
	q.due = q.due[n:]
	return taken, nil
}

func (q *queue) WakeDone(_ context.Context, results []fleet.WakeResult) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.done = append(q.done, results...)
	return nil
}

func (q *queue) WorkSignal() <-chan struct{} { return q.signal }

func (q *queue) add(wakes ...fleet.Wake) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.due = append(q.due, wakes...)
}

// take returns the reported results and forgets them.
func (q *queue) take() []fleet.WakeResult {
	q.mu.Lock()
	defer q.mu.Unlock()
	done := q.done
	q.done = nil
	return done
}

// mounted is a push certificate that can be exchanged.
type mounted struct {
	mu      sync.Mutex
	cert    *tls.Certificate
	topic   string
	changed chan struct{}
}

func (m *mounted) Push() (*tls.Certificate, string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cert, m.topic, m.cert != nil
}

func (m *mounted) PushChanged() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *mounted) set(cert tls.Certificate, topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cert, m.topic = &cert, topic
	close(m.changed)
	m.changed = make(chan struct{})
}

type world struct {
	ca     *pki.CA
	fake   *apnsfake.Fake
	queue  *queue
	certs  *mounted
	pusher *push.Pusher
	now    time.Time
}

// newWorld joins a Pusher with the fake; roots nil trusts the fake's CA.
func newWorld(t *testing.T, roots *x509.CertPool) *world {
	t.Helper()
	w := &world{ca: pki.NewCA(t, "apple"), queue: &queue{signal: make(chan struct{}, 1)}, certs: &mounted{changed: make(chan struct{})}, now: time.Now()}
	fake, address := apnsfake.Start(t, w.ca)
	service, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	w.fake = fake
	if roots == nil {
		roots = w.ca.Pool()
	}
	now := func() time.Time { return w.now }
	w.pusher = push.New(push.Options{Fleet: w.queue, Service: push.NewAPNs(service, roots, w.certs, now), Now: now,
		Log: slog.New(slog.DiscardHandler), Observe: func(fleet.WakeOutcome) {}})
	return w
}

func (w *world) mount(t *testing.T) {
	t.Helper()
	w.certs.set(w.ca.Issue(t, pki.Leaf{CN: "APSP", UID: topic}), topic)
}

func wake(n byte) fleet.Wake {
	return fleet.Wake{ChannelID: fmt.Sprintf("channel-%d", n),
		PushInfo: fleet.PushInfo{Token: bytes.Repeat([]byte{n}, 32), Magic: "magic", Topic: topic}}
}

func TestEveryAnswerOfAppleHasItsOutcome(t *testing.T) {
	ended := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for name, tc := range map[string]struct {
		answer apnsfake.Answer
		want   fleet.WakeOutcome
		reason string // of the pause, if the answer pauses
	}{
		"accepted":              {apnsfake.Answer{}, fleet.WakeAccepted, ""},
		"accepted, then GOAWAY": {apnsfake.Answer{GoAway: true}, fleet.WakeAccepted, ""},
		"unregistered":          {apnsfake.Unregistered(ended), fleet.WakeUnregistered, ""},
		"410 without time":      {apnsfake.Refused(http.StatusGone, "Unregistered"), fleet.WakeRejected, ""},
		"410 expired token":     {apnsfake.Answer{Status: http.StatusGone, Reason: "ExpiredToken", Timestamp: ended}, fleet.WakeRejected, ""},
		"bad token":             {apnsfake.Refused(http.StatusBadRequest, "BadDeviceToken"), fleet.WakeRejected, ""},
		"token of another app":  {apnsfake.Refused(http.StatusBadRequest, "DeviceTokenNotForTopic"), fleet.WakeRejected, ""},
		"topic refused":         {apnsfake.Refused(http.StatusBadRequest, "TopicDisallowed"), fleet.WakeRetry, push.ReasonTopicRefused},
		"certificate refused":   {apnsfake.Refused(http.StatusForbidden, "BadCertificate"), fleet.WakeRetry, push.ReasonCertificateRefused},
		"too many requests":     {apnsfake.Answer{Status: http.StatusTooManyRequests, Reason: "TooManyRequests", RetryAfter: time.Second}, fleet.WakeRetry, ""},
		"internal error":        {apnsfake.Refused(http.StatusInternalServerError, "InternalServerError"), fleet.WakeRetry, ""},
		"shutting down":         {apnsfake.Answer{Status: http.StatusServiceUnavailable, Reason: "Shutdown", GoAway: true}, fleet.WakeRetry, ""},
		"stream reset once":     {apnsfake.Answer{Reset: true}, fleet.WakeAccepted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.mount(t)
			w.fake.Script(wake(1).Token, tc.answer)
			w.queue.add(wake(1))
			w.pusher.Sweep(t.Context())
			got := w.queue.take()
			if len(got) != 1 || got[0].ChannelID != "channel-1" || got[0].Outcome != tc.want || !bytes.Equal(got[0].Token, wake(1).Token) {
				t.Fatalf("got %+v, want %s", got, tc.want)
			}
			if tc.want == fleet.WakeUnregistered && !got[0].Timestamp.Equal(ended) {
				t.Errorf("unregistered at %v, want %v", got[0].Timestamp, ended)
			}
			status := w.pusher.Status()
			if status.Reason != tc.reason || status.Paused != (tc.reason != "") || status.Paused && (status.Message == "" || status.Since.IsZero()) {
				t.Errorf("status %+v, want reason %q", status, tc.reason)
			}
			if accepted := tc.want == fleet.WakeAccepted; status.LastAccepted.IsZero() == accepted {
				t.Errorf("last accepted %v", status.LastAccepted)
			}
			w.queue.add(wake(2))
			w.pusher.Sweep(t.Context())
			if w.fake.Accepted(wake(2).Token) == 0 && tc.reason == "" {
				t.Error("a push after this answer did not arrive")
			}
		})
	}
}

func TestAPushThatIsCutOffTwiceIsTriedLater(t *testing.T) {
	w := newWorld(t, nil)
	w.mount(t)
	w.fake.Script(wake(1).Token, apnsfake.Answer{Reset: true}, apnsfake.Answer{Reset: true})
	w.queue.add(wake(1))
	w.pusher.Sweep(t.Context())
	if got := w.queue.take(); len(got) != 1 || got[0].Outcome != fleet.WakeRetry || w.pusher.Status().Reason != "" {
		t.Errorf("got %+v", got)
	}
}

func TestOneSweepPushesToAllThatAreDue(t *testing.T) {
	w := newWorld(t, nil)
	w.mount(t)
	const n = 1234
	for i := range n {
		token := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 16)
		w.queue.add(fleet.Wake{ChannelID: fmt.Sprint(i), PushInfo: fleet.PushInfo{Token: token, Magic: "m", Topic: topic}})
	}
	w.pusher.Sweep(t.Context())
	if got := w.fake.Outcomes(); got["200"] != n || len(got) != 1 {
		t.Errorf("outcomes %v, want %d accepted", got, n)
	}
	if got := len(w.queue.take()); got != n {
		t.Errorf("%d results reported", got)
	}
	if got := w.fake.Connections(); got != 1 {
		t.Errorf("%d connections, want one for all pushes", got)
	}
}

// A certificate that Apple refuses says nothing of any device: all are retried, few are asked, and a probe or a new certificate ends it.
func TestARefusedCertificatePausesTheServerAndChangesNoDevice(t *testing.T) {
	w := newWorld(t, nil)
	w.mount(t)
	refused := apnsfake.Refused(http.StatusForbidden, "BadCertificate")
	w.fake.AnswerAll(&refused)
	for n := range byte(200) {
		w.queue.add(wake(n))
	}
	w.pusher.Sweep(t.Context())
	results := w.queue.take()
	for _, r := range results {
		if r.Outcome != fleet.WakeRetry {
			t.Fatalf("%s became %s", r.ChannelID, r.Outcome)
		}
	}
	asked := w.fake.Outcomes()["403 BadCertificate"]
	if len(results) != 200 || asked > 40 {
		t.Errorf("%d results, Apple was asked %d times", len(results), asked)
	}
	since := w.pusher.Status().Since

	w.queue.add(wake(1), wake(2), wake(3))
	w.pusher.Sweep(t.Context())
	if got := w.fake.Outcomes()["403 BadCertificate"]; got != asked {
		t.Error("pushed though it is paused")
	}
	w.now = w.now.Add(5 * time.Minute)
	w.pusher.Sweep(t.Context())
	if got := w.fake.Outcomes()["403 BadCertificate"]; got != asked+1 {
		t.Errorf("%d probes, want one", got-asked)
	}
	if s := w.pusher.Status(); !s.Paused || !s.Since.Equal(since) {
		t.Errorf("status %+v, want paused since %v", s, since)
	}

	w.fake.AnswerAll(nil)
	w.now = w.now.Add(5 * time.Minute)
	w.pusher.Sweep(t.Context())
	if s := w.pusher.Status(); s.Paused || s.Reason != "" || s.LastAccepted.IsZero() {
		t.Errorf("status %+v after Apple accepted", s)
	}
	if got := w.fake.Outcomes()["200"]; got != 2 {
		t.Errorf("%d accepted, want the two that were still due", got)
	}
}

func TestTLSProblemsPause(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, w *world)
		roots   *x509.CertPool
		reason  string
	}{
		"no certificate": {func(*testing.T, *world) {}, nil, push.ReasonNoCertificate},
		"expired": {func(t *testing.T, w *world) {
			w.mount(t)
			w.now = w.now.AddDate(0, 0, 2)
		}, nil, push.ReasonCertificateExpired},
		"certificate of another CA": {func(t *testing.T, w *world) {
			w.certs.set(pki.NewCA(t, "other").Issue(t, pki.Leaf{CN: "APSP", UID: topic}), topic)
		}, nil, push.ReasonCertificateRefused},
		"service not trusted": {func(t *testing.T, w *world) { w.mount(t) }, x509.NewCertPool(), push.ReasonServerUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.roots)
			tc.prepare(t, w)
			w.queue.add(wake(1))
			w.pusher.Sweep(t.Context())
			for _, r := range w.queue.take() {
				if r.Outcome != fleet.WakeRetry {
					t.Errorf("the device's push became %s", r.Outcome)
				}
			}
			if s := w.pusher.Status(); !s.Paused || s.Reason != tc.reason || s.Message == "" {
				t.Errorf("status %+v, want paused for %s", s, tc.reason)
			}
		})
	}
}

// A server without devices has nothing to push that would show it.
func TestAMountedCertificateEndsThePause(t *testing.T) {
	w := newWorld(t, nil)
	w.pusher.Sweep(t.Context())
	w.mount(t)
	w.pusher.Sweep(t.Context())
	if s := w.pusher.Status(); s.Paused || s.Reason != "" {
		t.Errorf("status %+v", s)
	}
}

// Devices that enrolled with another topic cannot be pushed to with this certificate; all others still are.
func TestAnotherTopicHindersOnlyItsDevices(t *testing.T) {
	w := newWorld(t, nil)
	w.mount(t)
	other := wake(1)
	other.Topic = "com.apple.mgmt.External.old"
	w.queue.add(other, wake(2))
	w.pusher.Sweep(t.Context())
	if w.fake.Accepted(wake(2).Token) != 1 || w.fake.Accepted(other.Token) != 0 {
		t.Error("want a push to the second device only")
	}
	if s := w.pusher.Status(); s.Paused || s.Reason != push.ReasonTopicMismatch {
		t.Errorf("status %+v", s)
	}
	if got := w.queue.take(); got[0].Outcome != fleet.WakeRetry {
		t.Errorf("the first device's push became %s", got[0].Outcome)
	}
}

// run starts the pusher's loop and returns a channel that gets the token of each accepted push.
func run(t *testing.T, w *world) <-chan []byte {
	t.Helper()
	pushed := make(chan []byte, 16)
	w.fake.OnPush(func(token []byte, _ string) { pushed <- token })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.pusher.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return pushed
}

// receive waits for the next push.
func receive(t *testing.T, pushed <-chan []byte) []byte {
	t.Helper()
	select {
	case token := <-pushed:
		return token
	case <-time.After(30 * time.Second):
		t.Fatal("no push came")
		return nil
	}
}

func TestNewWorkIsPushedAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	w.mount(t)
	pushed := run(t, w)
	w.queue.add(wake(7))
	w.queue.signal <- struct{}{}
	if token := receive(t, pushed); !bytes.Equal(token, wake(7).Token) {
		t.Errorf("pushed to %x", token)
	}
}

func TestANewCertificateEndsAPauseAtOnce(t *testing.T) {
	for name, before := range map[string]func(*testing.T, *world){
		"there was none": func(*testing.T, *world) {},
		"the old one was refused": func(t *testing.T, w *world) {
			w.certs.set(pki.NewCA(t, "other").Issue(t, pki.Leaf{CN: "APSP", UID: topic}), topic)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			before(t, w)
			w.queue.add(wake(1))
			pushed := run(t, w)
			for ctx := t.Context(); ctx.Err() == nil && !w.pusher.Status().Paused; {
				runtime.Gosched()
			}
			w.mount(t)
			w.queue.add(wake(2), wake(3))
			w.queue.signal <- struct{}{}
			receive(t, pushed)
			receive(t, pushed)
		})
	}
}
