package agent_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/agent"
	"github.com/kubemdm/kubemdm/internal/agentapi"
)

const (
	pollEvery    = 30 * time.Second
	discoveryURL = "https://mdm.example.com/api/mdm/microsoft/discovery"
	secret       = "s3cret"
)

var (
	enrol   = agentapi.Notifications{Enroll: true, DiscoveryURL: discoveryURL}
	unenrol = agentapi.Notifications{Unenroll: true}
	wake    = agentapi.Notifications{Sync: true}
)

// world is a server, a Windows and a place for the node key, all at once, and the time since the start of each thing that happened.
type world struct {
	start time.Time

	enrolError, configError error
	work                    agentapi.Notifications
	claim                   agentapi.EnrollRequest
	enrolments, polls       []time.Duration

	windowsError error
	// busy makes Windows come back only when the agent has ended.
	busy                               bool
	registered, unregistered, sessions []time.Duration
	url, token                         string
	ended                              chan struct{}

	key string

	mu  sync.Mutex
	log bytes.Buffer
}

func (w *world) since() time.Duration { return time.Since(w.start) }

func (w *world) Enroll(_ context.Context, in agentapi.EnrollRequest) (string, error) {
	w.claim = in
	w.enrolments = append(w.enrolments, w.since())
	return "key", w.enrolError
}

func (w *world) Config(_ context.Context, key string) (agentapi.Notifications, error) {
	w.polls = append(w.polls, w.since())
	if key == "" {
		panic("a poll without a node key")
	}
	return w.work, w.configError
}

func (w *world) windows(calls *[]time.Duration) error {
	*calls = append(*calls, w.since())
	if w.busy {
		<-w.ended
	}
	return w.windowsError
}

func (w *world) Register(url, token string) error {
	w.url, w.token = url, token
	return w.windows(&w.registered)
}
func (w *world) Unregister() error   { return w.windows(&w.unregistered) }
func (w *world) StartSession() error { return w.windows(&w.sessions) }

func (w *world) NodeKey() (string, error)    { return w.key, nil }
func (w *world) SetNodeKey(key string) error { w.key = key; return nil }
func (w *world) ForgetNodeKey() error        { w.key = ""; return nil }

func (w *world) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

// runs lets an agent work for a time that only seems to pass.
func (w *world) runs(t *testing.T, d time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w.start, w.ended = time.Now(), make(chan struct{})
		defer close(w.ended)
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		agent.New(agent.Options{
			Server: w, Windows: w, NodeKey: w, PollEvery: pollEvery, Log: slog.New(slog.NewTextHandler(w, nil)),
			Claim: agentapi.EnrollRequest{EnrollSecret: secret, HardwareUUID: "U", Platform: agentapi.PlatformWindows},
		}).Run(ctx)
	})
}
