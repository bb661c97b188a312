// Package agent is what the agent does, apart from Windows: it enrols at the server, asks it for work, and has Windows do it.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/orbit"
	"github.com/kubemdm/kubemdm/internal/agentapi"
)

const (
	// longestPause is the longest wait after polls that failed, longestPatience the longest that a server may ask for.
	longestPause    = 15 * time.Minute
	longestPatience = time.Hour

	// registerEvery is the pause after Windows enrolled or left: the server needs until the first session to see it. syncEvery is that after a session was
	// started. After a failure it is tried again sooner, first after firstRetry and ever later up to longestRetry.
	registerEvery = time.Hour
	syncEvery     = time.Minute
	firstRetry    = 30 * time.Second
	longestRetry  = time.Hour
)

// Server is what the agent asks of its server; orbit.Client implements it.
type Server interface {
	Enroll(ctx context.Context, in agentapi.EnrollRequest) (nodeKey string, err error)
	Config(ctx context.Context, nodeKey string) (agentapi.Notifications, error)
}

// Windows is what the agent asks of Windows. Register and Unregister take up to minutes.
type Windows interface {
	// Register makes Windows enrol at a discovery URL with an access token.
	Register(discoveryURL, token string) error
	// Unregister makes Windows leave management.
	Unregister() error
	// StartSession makes Windows start a management session with this server.
	StartSession() error
}

// NodeKey is where the node key is kept.
type NodeKey interface {
	// NodeKey returns the key, empty when there is none.
	NodeKey() (string, error)
	SetNodeKey(key string) error
	// ForgetNodeKey removes the key; there may be none.
	ForgetNodeKey() error
}

// Options are what an agent works with.
type Options struct {
	Server  Server
	Windows Windows
	NodeKey NodeKey
	// Claim is with what the agent enrols: the secret, and what is known of the machine.
	Claim agentapi.EnrollRequest
	// PollEvery is how often the server is asked, give or take a tenth.
	PollEvery time.Duration
	Log       *slog.Logger
}

// Agent does what its server asks for.
type Agent struct {
	Options
	failures               int
	enroll, unenroll, sync task
}

// New returns an agent.
func New(o Options) *Agent {
	return &Agent{
		Options:  o,
		enroll:   task{name: "the enrolment of Windows", every: registerEvery},
		unenroll: task{name: "the end of the enrolment of Windows", every: registerEvery},
		sync:     task{name: "a management session", every: syncEvery},
	}
}

// Run asks and works until ctx ends.
func (a *Agent) Run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(a.next(a.poll(ctx))):
		}
	}
}

// next is the time until the next poll.
func (a *Agent) next(err error) time.Duration {
	if err == nil {
		a.failures = 0
		return spread(a.PollEvery)
	}
	a.failures++
	pause := spread(backoff(a.PollEvery, longestPause, a.failures))
	if patience := min(orbit.RetryAfter(err), longestPatience); patience > pause {
		pause = patience + rand.N(patience/5+1)
	}
	if !errors.Is(err, context.Canceled) {
		a.Log.Warn("asking the server for work failed", "error", err, "again", pause.Round(time.Second))
	}
	return pause
}

// poll is one round: whatever the server wants is tried, and only the server's own failures are returned.
func (a *Agent) poll(ctx context.Context) error {
	key, err := a.nodeKey(ctx)
	if err != nil {
		return err
	}
	work, err := a.Server.Config(ctx, key)
	if orbit.Refused(err) {
		// What the server does not know is of no use to anybody. The next poll enrols again.
		return errors.Join(err, a.NodeKey.ForgetNodeKey())
	}
	if err != nil {
		return err
	}
	a.do(ctx, key, work)
	return nil
}

// nodeKey returns the kept key, or that of an enrolment of the agent.
func (a *Agent) nodeKey(ctx context.Context) (string, error) {
	key, err := a.NodeKey.NodeKey()
	if err != nil || key != "" {
		return key, err
	}
	if key, err = a.Server.Enroll(ctx, a.Claim); err != nil {
		return "", err
	}
	a.Log.Info("the agent is enrolled")
	return key, a.NodeKey.SetNodeKey(key)
}

// do has Windows do what the server wants.
func (a *Agent) do(ctx context.Context, key string, work agentapi.Notifications) {
	switch {
	case work.Enroll && work.DiscoveryURL != "":
		a.try(ctx, &a.enroll, func() error {
			token, err := registrationToken(key)
			if err != nil {
				return err
			}
			return a.Windows.Register(work.DiscoveryURL, token)
		})
	case work.Unenroll:
		a.try(ctx, &a.unenroll, a.Windows.Unregister)
	case work.Sync:
		a.try(ctx, &a.sync, a.Windows.StartSession)
	}
}

// try runs a task if it is due. Nothing can interrupt Windows; when ctx ends it is left alone.
func (a *Agent) try(ctx context.Context, t *task, work func() error) {
	if !t.due() {
		return
	}
	a.Log.Info("Windows is asked for " + t.name)
	done := make(chan error, 1)
	go func() { done <- work() }()
	select {
	case <-ctx.Done():
		return
	case err := <-done:
		again := t.finish(err)
		if err != nil {
			a.Log.Error("Windows failed at "+t.name, "error", err, "again", again)
			return
		}
		a.Log.Info("Windows has done " + t.name)
	}
}

// registrationToken is the access token for Windows.
func registrationToken(key string) (string, error) {
	b, err := json.Marshal(agentapi.RegistrationToken{Type: agentapi.TokenProgrammatic, Payload: agentapi.RegistrationPayload{NodeKey: key}})
	if err != nil {
		return "", fmt.Errorf("encoding the access token: %w", err)
	}
	return string(b), nil
}

// task is a kind of work that Windows does not bear to be asked for at every poll.
type task struct {
	name     string
	every    time.Duration
	next     time.Time
	failures int
}

func (t *task) due() bool { return !time.Now().Before(t.next) }

// finish notes the outcome and returns the pause that follows.
func (t *task) finish(err error) time.Duration {
	pause := t.every
	if err == nil {
		t.failures = 0
	} else {
		t.failures++
		pause = backoff(firstRetry, longestRetry, t.failures)
	}
	t.next = time.Now().Add(pause)
	return pause
}

// backoff doubles a pause with each failure from the second on, up to longest.
func backoff(first, longest time.Duration, failures int) time.Duration {
	pause := first
	for range failures - 1 {
		if pause >= longest {
			break
		}
		pause *= 2
	}
	return min(pause, longest)
}

// spread is a duration give or take a tenth, so that machines that started together do not stay together.
func spread(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) }
