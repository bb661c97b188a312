package push_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/push"
	"github.com/kubemdm/kubemdm/test/pki"
)

// goingAway accepts connections and ends each with GOAWAY at the first request, which it says it did not process. It counts the connections.
func goingAway(t *testing.T, ca *pki.CA, count *atomic.Int64) *url.URL {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{NextProtos: []string{"h2"},
		Certificates: []tls.Certificate{ca.Issue(t, pki.Leaf{CN: "apns", Names: []string{"127.0.0.1"}})}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			go endAtFirstRequest(conn)
		}
	}()
	return &url.URL{Scheme: "https", Host: l.Addr().String()}
}

func endAtFirstRequest(conn net.Conn) {
	defer conn.Close()
	framer := http2.NewFramer(conn, conn)
	if framer.WriteSettings() != nil {
		return
	}
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		if frame.Header().Type == http2.FrameHeaders {
			_ = framer.WriteGoAway(0, http2.ErrCodeNo, []byte(`{"reason":"Shutdown"}`))
			_, _ = io.Copy(io.Discard, conn) // until the client has read it and closes
			return
		}
	}
}

// A push service that only ever says GOAWAY costs a bounded number of tries and nobody's enrolment.
func TestAServiceThatGoesAwayIsTriedLater(t *testing.T) {
	ca := pki.NewCA(t, "apple")
	conns := &atomic.Int64{}
	certs := &mounted{changed: make(chan struct{})}
	certs.set(ca.Issue(t, pki.Leaf{CN: "APSP", UID: topic}), topic)
	q := &queue{}
	p := push.New(push.Options{Fleet: q, Service: push.NewAPNs(goingAway(t, ca, conns), ca.Pool(), certs, time.Now), Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Observe: func(fleet.WakeOutcome) {}})
	q.add(wake(1))
	p.Sweep(t.Context())
	if got := q.take(); len(got) != 1 || got[0].Outcome != fleet.WakeRetry {
		t.Errorf("got %+v, want one to retry", got)
	}
	if s := p.Status(); s.Paused {
		t.Errorf("paused: %+v", s)
	}
	if got := conns.Load(); got < 2 || got > 4 {
		t.Errorf("%d connections", got)
	}
}
