package windows

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// Paths of the endpoints below the server's host. Devices remember that of discovery, to renew, and that of management.
const (
	pathDiscovery  = "/api/mdm/microsoft/discovery"
	pathWellKnown  = "/EnrollmentServer/Discovery.svc"
	pathPolicy     = "/api/mdm/microsoft/policy"
	pathEnroll     = "/api/mdm/microsoft/enroll"
	pathManagement = "/api/mdm/microsoft/management"
	pathSignIn     = "/api/mdm/microsoft/signin"
	pathCallback   = "/api/mdm/microsoft/signin/callback"
)

// Fleet is what the endpoints ask of fleet.Fleet; see there for what each call means and which errors it gives.
type Fleet interface {
	sessions
	CheckWindows(ctx context.Context, cred fleet.WindowsCredential) error
	EnrollWindows(ctx context.Context, cred fleet.WindowsCredential, claim fleet.WindowsClaim,
		issue func(fleet.Grant) (der []byte, err error)) (*fleet.WindowsEnrollment, error)
	RenewWindows(ctx context.Context, signer fleet.Identity, claim fleet.WindowsClaim,
		issue func(fleet.Grant) (der []byte, err error)) (*fleet.WindowsEnrollment, error)
	IssueTicket(ctx context.Context, token adminapi.Key, upn string) (fleet.Challenge, error)
}

// Options is what the package works with. The functions are called per request, so that a reloaded credential is used at once.
type Options struct {
	// Config has its Windows part set.
	Config serverconfig.Config
	// CAs returns the loaded generations of the WSTEP CA.
	CAs func() []identity.CA
	// SignInSecret returns the secret of the OpenID Connect client. It is called only when Config.Windows.SignIn is set.
	SignInSecret func() string
	// Seal keeps what a browser holds of a sign-in from being read and changed.
	Seal  fleet.Sealer
	Fleet Fleet
	Now   func() time.Time
	Log   *slog.Logger
}

// Windows is the Windows side of one server.
type Windows struct {
	Options
}

var errNoWindows = errors.New("the configuration has no part for Windows devices")

// New returns the Windows side of a server.
func New(o Options) (*Windows, error) {
	if o.Config.Windows == nil {
		return nil, errNoWindows
	}
	return &Windows{Options: o}, nil
}

// DiscoveryURL is where Windows begins to enrol when an agent makes it.
func (w *Windows) DiscoveryURL() string { return w.url(pathDiscovery) }
