package agent_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/test/cputime"
)

// quiet is what a fleet that is at rest says.
type quiet struct{ fakeFleet }

func (quiet) Agent(context.Context, string) (fleet.AgentNotice, error) {
	return fleet.AgentNotice{}, nil
}

// BenchmarkPoll is a poll from its decoding to its answer, without the wire.
func BenchmarkPoll(b *testing.B) {
	h := handler(&quiet{})
	cputime.PerSecond(b, "polls", func() {
		for b.Loop() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, config, strings.NewReader(poll)))
		}
	})
}

// BenchmarkPollOverHTTP is a poll over a connection that stays open, the agent's half included.
func BenchmarkPollOverHTTP(b *testing.B) {
	server := httptest.NewServer(handler(&quiet{}))
	defer server.Close()
	cputime.PerSecond(b, "polls", func() {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				res, err := server.Client().Post(server.URL+config, "application/json", strings.NewReader(poll))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	})
}
