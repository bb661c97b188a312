package cputime_test

import (
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/kubemdm/kubemdm/test/cputime"
)

func TestMain(m *testing.M) { cputime.Main(m) }

// Each request of a benchmark arrives once, from another process, and what it costs is reported.
func TestServerPerSecond(t *testing.T) {
	const requests = 20
	if err := flag.Set("test.benchtime", fmt.Sprintf("%dx", requests)); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var bodies []string
	addresses := map[string]bool{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(body))
		addresses[r.RemoteAddr] = true
		fmt.Fprintf(w, "hello %s", r.Header.Get("From"))
	}))
	defer server.Close()
	load := cputime.Load{
		Method: http.MethodPost, URL: server.URL, Header: http.Header{"From": {"jo"}}, Address: server.Listener.Addr().String(),
		CA:      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
		Senders: []cputime.Sender{{Body: "n" + cputime.Number}, {Body: "n" + cputime.Number}}, Want: "hello jo",
	}
	for _, reconnect := range []bool{false, true} {
		bodies, addresses, load.Reconnect = nil, map[string]bool{}, reconnect
		result := testing.Benchmark(func(b *testing.B) { cputime.ServerPerSecond(b, "answers", load) })
		if result.N != requests || result.Extra["answers/cpu-s"] <= 0 {
			t.Errorf("%+v", result)
		}
		// A benchmark runs with one request before, and each run warms up with a request for each sender.
		if got, want := len(bodies), (2+1)+(2+requests); got != want {
			t.Errorf("%d requests, want %d", got, want)
		}
		if last := fmt.Sprintf("n%x", 2+requests-1); !slices.Contains(bodies, last) {
			t.Errorf("%s is not among the requests %s", last, bodies)
		}
		if got := len(addresses); reconnect && got != len(bodies) || !reconnect && got > 2*2 {
			t.Errorf("reconnect %v: %d connections for %d requests", reconnect, got, len(bodies))
		}
	}
	load.Want = "another answer"
	if result := testing.Benchmark(func(b *testing.B) { cputime.ServerPerSecond(b, "answers", load) }); result.N != 0 {
		t.Errorf("a wrong answer: %+v", result)
	}
}
