package push_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/push"
	"github.com/kubemdm/kubemdm/test/awsfake"
	"github.com/kubemdm/kubemdm/test/pki"
)

// mountKey puts a push certificate for a key into use.
func (w *world) mountKey(t *testing.T, key crypto.Signer) {
	t.Helper()
	like := w.ca.Issue(t, pki.Leaf{CN: "APSP", UID: topic}).Leaf
	der, err := x509.CreateCertificate(rand.Reader, like, w.ca.Cert, key.Public(), w.ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	w.certs.set(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, topic)
}

// faulty is a key in a KMS that has outages, and counts what it is asked.
type faulty struct {
	crypto.Signer

	mu     sync.Mutex
	outage error
	asked  int
}

func (f *faulty) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.outage != nil {
		return nil, f.outage
	}
	return f.Signer.Sign(random, digest, opts)
}

func (f *faulty) set(outage error) (asked int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outage = outage
	return f.asked
}

// An outage of the KMS costs no push and no enrolment, and nobody has to do anything when it is over.
func TestAnOutageOfTheKMSPauses(t *testing.T) {
	w := newWorld(t, nil)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	outage := errors.New("the HSM is on fire: call the fire brigade")
	key := &faulty{Signer: private, outage: outage}
	w.mountKey(t, key)
	for n := range byte(100) {
		w.queue.add(wake(n))
	}
	w.pusher.Sweep(t.Context())
	results := w.queue.take()
	for _, r := range results {
		if r.Outcome != fleet.WakeRetry {
			t.Fatalf("%s became %s", r.ChannelID, r.Outcome)
		}
	}
	if len(results) != 100 {
		t.Errorf("%d results", len(results))
	}
	s := w.pusher.Status()
	if !s.Paused || s.Reason != push.ReasonKeyUnavailable || !strings.Contains(s.Message, "fire brigade") {
		t.Errorf("status %+v", s)
	}
	asked := key.set(outage)
	if asked > 20 {
		t.Errorf("the KMS was asked %d times", asked)
	}

	w.queue.add(wake(1), wake(2), wake(3))
	w.pusher.Sweep(t.Context())
	if got := key.set(outage); got != asked {
		t.Error("pushed though it is paused")
	}
	w.now = w.now.Add(time.Minute)
	w.pusher.Sweep(t.Context())
	if got := key.set(nil); got != asked+1 {
		t.Errorf("%d probes, want one", got-asked)
	}

	w.now = w.now.Add(time.Minute)
	w.pusher.Sweep(t.Context())
	if s := w.pusher.Status(); s.Paused || s.Reason != "" || s.LastAccepted.IsZero() {
		t.Errorf("status %+v after the outage", s)
	}
	if got := w.fake.Outcomes(); got["200"] != 2 || len(got) != 1 {
		t.Errorf("Apple answered %v, want the two that were still due", got)
	}
	if got := key.set(outage); got != asked+2 {
		t.Errorf("%d connections for two pushes", got-asked-1)
	}

	// A connection that stands needs no key.
	w.queue.take()
	w.queue.add(wake(4))
	w.pusher.Sweep(t.Context())
	if got := w.queue.take(); len(got) != 1 || got[0].Outcome != fleet.WakeAccepted {
		t.Errorf("got %+v in an outage with a connection", got)
	}
}

// Once the KMS signs again it is not the cause of what is wrong then.
func TestAPastOutageIsNotTheCauseOfWhatComesLater(t *testing.T) {
	w := newWorld(t, nil)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key := &faulty{Signer: private, outage: errors.New("away")}
	w.ca = pki.NewCA(t, "unknown to Apple")
	w.mountKey(t, key)
	for _, want := range []string{push.ReasonKeyUnavailable, push.ReasonCertificateRefused} {
		w.queue.add(wake(1))
		w.pusher.Sweep(t.Context())
		if s := w.pusher.Status(); s.Reason != want {
			t.Errorf("status %+v, want %s", s, want)
		}
		key.set(nil)
		w.now = w.now.Add(time.Minute)
	}
}

// A network that is down is nobody's fault, whatever the KMS did before.
func TestANetworkThatIsDownIsNoOutageOfTheKMS(t *testing.T) {
	w := newWorld(t, nil)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w.mountKey(t, &faulty{Signer: private, outage: errors.New("away")})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{NextProtos: []string{"h2"}, ClientAuth: tls.RequestClientCert,
		Certificates: []tls.Certificate{w.ca.Issue(t, pki.Leaf{CN: "apns", Names: []string{"127.0.0.1"}})}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if conn, err := l.Accept(); err == nil {
			_ = conn.(*tls.Conn).Handshake() // the client breaks it off
			conn.Close()
		}
	}()
	service := push.NewAPNs(&url.URL{Scheme: "https", Host: l.Addr().String()}, w.ca.Pool(), w.certs, time.Now)
	if a := service.Push(t.Context(), wake(1)); a.Outcome != fleet.WakeRetry || a.Problem == nil || a.Problem.Reason != push.ReasonKeyUnavailable {
		t.Errorf("got %+v in the outage", a)
	}
	l.Close()
	if a := service.Push(t.Context(), wake(1)); a.Outcome != fleet.WakeRetry || a.Problem != nil {
		t.Errorf("got %+v, %+v without a network", a, a.Problem)
	}
}

func TestPushWithAKeyInAWS(t *testing.T) {
	const id = "11111111-2222-3333-4444-555555555555"
	for fault, want := range map[string]string{awsfake.AccessDenied: "kms:Sign", awsfake.Away: "not available"} {
		t.Run(fault, func(t *testing.T) {
			aws := awsfake.Start(t)
			aws.Put(id, awsfake.SignVerify, awsfake.NewKey(t))
			key, err := keys.Open(t.Context(), "awskms:key-id="+id, keys.Options{})
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t, nil)
			w.mountKey(t, key)
			pauseAndRecover(t, w, want, func() { aws.Fail(fault) }, func() { aws.Fail("") })
		})
	}
}

// pauseAndRecover pushes while a KMS is away and when it is back.
func pauseAndRecover(t *testing.T, w *world, want string, away, back func()) {
	t.Helper()
	away()
	w.queue.add(wake(1))
	w.pusher.Sweep(t.Context())
	if s := w.pusher.Status(); s.Reason != push.ReasonKeyUnavailable || !strings.Contains(s.Message, want) {
		t.Fatalf("status %+v", s)
	}
	back()
	w.now = w.now.Add(time.Minute)
	w.queue.add(wake(1))
	w.pusher.Sweep(t.Context())
	if s := w.pusher.Status(); s.Paused || w.fake.Accepted(wake(1).Token) != 1 {
		t.Errorf("status %+v: nothing was pushed", s)
	}
	for i, r := range w.queue.take() {
		if want := []fleet.WakeOutcome{fleet.WakeRetry, fleet.WakeAccepted}[i]; r.Outcome != want {
			t.Errorf("push %d: %s, want %s", i, r.Outcome, want)
		}
	}
}
