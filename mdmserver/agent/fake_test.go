package agent_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/agent"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const discoveryURL = "https://mdm.example.com/api/mdm/microsoft/discovery"

// fakeFleet answers every call with what it was told, and remembers what it was asked.
type fakeFleet struct {
	err    error
	notice fleet.AgentNotice

	hash  string
	claim fleet.AgentClaim
}

func (f *fakeFleet) EnrollAgent(_ context.Context, tokenHash string, claim fleet.AgentClaim) (string, error) {
	f.hash, f.claim = tokenHash, claim
	return "node-key", f.err
}

func (f *fakeFleet) Agent(_ context.Context, nodeKeyHash string) (fleet.AgentNotice, error) {
	f.hash = nodeKeyHash
	return f.notice, f.err
}

func handler(f agent.Fleet) http.Handler {
	return agent.New(agent.Options{Fleet: f, DiscoveryURL: discoveryURL, Log: slog.New(slog.DiscardHandler)}).Handler()
}

func call(t *testing.T, f agent.Fleet, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	res := httptest.NewRecorder()
	handler(f).ServeHTTP(res, httptest.NewRequest(method, path, strings.NewReader(body)))
	return res
}
