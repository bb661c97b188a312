package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/kubemdm/kubemdm/internal/agentapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// capabilities are what the server offers of the protocol. Orbit turns off what is not among them.
const capabilities = agentapi.CapabilityEndpoints + "," + agentapi.CapabilityWindowsSync

// Fleet is what the endpoints ask of fleet.Fleet; see there for what each call means and which errors it gives.
type Fleet interface {
	EnrollAgent(ctx context.Context, tokenHash string, claim fleet.AgentClaim) (nodeKey string, err error)
	Agent(ctx context.Context, nodeKeyHash string) (fleet.AgentNotice, error)
}

// Options are what the endpoints work with.
type Options struct {
	Fleet Fleet
	// DiscoveryURL is where Windows begins to enrol when an agent makes it.
	DiscoveryURL string
	Log          *slog.Logger
}

// Agents are the endpoints of agents.
type Agents struct {
	Options
	// answers are the rendered answers to a poll: thirty thousand agents ask every thirty seconds, and nearly all of them get the same one.
	answers map[fleet.AgentNotice][]byte
}

// New returns the endpoints.
func New(o Options) *Agents {
	a := &Agents{Options: o, answers: map[fleet.AgentNotice][]byte{}}
	for _, enroll := range []bool{false, true} {
		for _, unenroll := range []bool{false, true} {
			for _, sync := range []bool{false, true} {
				notice := fleet.AgentNotice{Enroll: enroll, Unenroll: unenroll, Sync: sync}
				a.answers[notice] = render(agentapi.ConfigReply{Notifications: a.notifications(notice)})
			}
		}
	}
	return a
}

func (a *Agents) notifications(n fleet.AgentNotice) agentapi.Notifications {
	out := agentapi.Notifications{Enroll: n.Enroll, Unenroll: n.Unenroll, Sync: n.Sync}
	if n.Enroll {
		out.DiscoveryURL = a.DiscoveryURL
	}
	return out
}

// Handler serves everything below agentapi.PathPrefix. A call of orbit that is not served is answered 404, which it takes for an older server; at a 401 it
// would enrol again.
func (a *Agents) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+agentapi.PathPing, func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST "+agentapi.PathEnroll, a.serve(a.enroll))
	mux.HandleFunc("POST "+agentapi.PathConfig, a.serve(a.config))
	mux.HandleFunc(agentapi.PathPrefix, http.NotFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()[agentapi.HeaderCapabilities] = []string{capabilities}
		mux.ServeHTTP(w, r)
	})
}

func (a *Agents) enroll(r *http.Request) ([]byte, error) {
	in, err := decode[agentapi.EnrollRequest](r.Body)
	if err != nil {
		return nil, err
	}
	claim, err := claimOf(in)
	if err != nil {
		return nil, err
	}
	key, err := a.Fleet.EnrollAgent(r.Context(), hash(in.EnrollSecret), claim)
	if err != nil {
		return nil, err
	}
	return render(agentapi.EnrollReply{NodeKey: key}), nil
}

func (a *Agents) config(r *http.Request) ([]byte, error) {
	in, err := decode[agentapi.ConfigRequest](r.Body)
	if err != nil {
		return nil, err
	}
	notice, err := a.Fleet.Agent(r.Context(), hash(in.NodeKey))
	if err != nil {
		return nil, err
	}
	return a.answers[notice], nil
}

// hash is how fleet knows a secret.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// render encodes a value of plain strings and booleans, which cannot fail.
func render(value any) []byte {
	b, _ := json.Marshal(value)
	return b
}
