package apnsfake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Answer is what a push is answered with. The zero value accepts it.
type Answer struct {
	Status int
	Reason string
	// Timestamp goes with 410: when the token stopped being valid.
	Timestamp time.Time
	// RetryAfter goes with 429 and 503, in whole seconds.
	RetryAfter time.Duration
	// GoAway ends the connection after this answer with a GOAWAY frame.
	GoAway bool
	// Reset breaks the stream off without an answer.
	Reset bool
}

// Unregistered says that the token ended at this time.
func Unregistered(at time.Time) Answer {
	return Answer{Status: http.StatusGone, Reason: "Unregistered", Timestamp: at}
}

// Refused is an answer with a reason of Apple's list, such as 400 BadDeviceToken.
func Refused(status int, reason string) Answer { return Answer{Status: status, Reason: reason} }

// Fake is the push service. It is safe for concurrent use.
type Fake struct {
	clientCAs *x509.CertPool

	mu       sync.Mutex
	script   map[string][]Answer
	forAll   *Answer
	onPush   func(token []byte, magic string)
	outcomes map[string]int
	conns    int
	devices  map[string]*device
}

// device is what the fake knows of one push token.
type device struct {
	accepted int
	// pushed holds one pending wake-up: more pushes before the device looks are one.
	pushed chan struct{}
}

// New returns a service that takes client certificates of these CAs.
func New(clientCAs *x509.CertPool) *Fake {
	return &Fake{clientCAs: clientCAs, script: map[string][]Answer{}, outcomes: map[string]int{}, devices: map[string]*device{}}
}

// Script sets the answers to the next pushes to a token; after them pushes are accepted again.
func (f *Fake) Script(token []byte, answers ...Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script[hex.EncodeToString(token)] = answers
}

// AnswerAll answers every push the same way until it is called with nil.
func (f *Fake) AnswerAll(a *Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forAll = a
}

// OnPush is called, outside of any lock, for every push that was accepted.
func (f *Fake) OnPush(call func(token []byte, magic string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onPush = call
}

// Outcomes counts all answers by status and reason, as "200" or "410 Unregistered".
func (f *Fake) Outcomes() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.outcomes)
}

// Accepted counts the accepted pushes to a token.
func (f *Fake) Accepted(token []byte) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.device(hex.EncodeToString(token)).accepted
}

// Connections counts the connections that were made.
func (f *Fake) Connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

func (f *Fake) count(_ net.Conn, state http.ConnState) {
	if state == http.StateNew {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.conns++
	}
}

// Wait returns when a push to the token was accepted since the last Wait for it, or with ctx's error.
func (f *Fake) Wait(ctx context.Context, token []byte) error {
	f.mu.Lock()
	pushed := f.device(hex.EncodeToString(token)).pushed
	f.mu.Unlock()
	select {
	case <-pushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Serve answers on l until ctx ends.
func (f *Fake) Serve(ctx context.Context, l net.Listener, cert tls.Certificate) error {
	s := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second, ConnState: f.count, TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: f.clientCAs,
	}}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.ServeTLS(l, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, magic, refusal := check(r)
	var answer Answer
	if refusal != nil {
		answer = *refusal
	} else {
		answer = f.next(token)
	}
	f.answer(w, answer)
	if answer.Status != http.StatusOK && answer.Status != 0 {
		return
	}
	f.mu.Lock()
	d := f.device(token)
	d.accepted++
	select {
	case d.pushed <- struct{}{}:
	default:
	}
	call := f.onPush
	f.mu.Unlock()
	if call != nil {
		raw, _ := hex.DecodeString(token) // checked above
		call(raw, magic)
	}
}

// next takes the answer that the script has for a token.
func (f *Fake) next(token string) Answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forAll != nil {
		return *f.forAll
	}
	answers := f.script[token]
	if len(answers) == 0 {
		return Answer{}
	}
	f.script[token] = answers[1:]
	return answers[0]
}

// device returns the record of a token; the lock must be held.
func (f *Fake) device(token string) *device {
	d := f.devices[token]
	if d == nil {
		d = &device{pushed: make(chan struct{}, 1)}
		f.devices[token] = d
	}
	return d
}

func (f *Fake) answer(w http.ResponseWriter, a Answer) {
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	outcome := strconv.Itoa(a.Status)
	if a.Reason != "" {
		outcome += " " + a.Reason
	}
	if a.Reset {
		outcome = "reset"
	}
	f.mu.Lock()
	f.outcomes[outcome]++
	f.mu.Unlock()
	if a.Reset {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("apns-id", uuid.NewString())
	if a.GoAway {
		w.Header().Set("Connection", "close")
	}
	if a.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(a.RetryAfter.Seconds())))
	}
	w.WriteHeader(a.Status)
	if a.Status == http.StatusOK {
		return
	}
	body := map[string]any{"reason": a.Reason}
	if !a.Timestamp.IsZero() {
		body["timestamp"] = a.Timestamp.UnixMilli()
	}
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
