package agent_test

import (
	"context"
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

// BenchmarkPoll is a poll from its decoding to its answer, without the wire; mdmserver's BenchmarkAgentPoll has that too.
func BenchmarkPoll(b *testing.B) {
	h := handler(&quiet{})
	cputime.PerSecond(b, "polls", func() {
		for b.Loop() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, config, strings.NewReader(poll)))
		}
	})
}
