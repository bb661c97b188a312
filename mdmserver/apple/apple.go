package apple

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/apple/command"
	"github.com/kubemdm/kubemdm/mdmserver/apple/profile"
	"github.com/kubemdm/kubemdm/mdmserver/apple/scep"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// Paths of the endpoints below the server's host. Devices remember the first two for as long as they are enrolled.
const (
	pathCheckin = "/apple/checkin"
	pathCommand = "/apple/command"
	pathSCEP    = "/scep"
	pathEnroll  = "/enroll/{token}"
)

// Fleet is what the endpoints ask of fleet.Fleet; see there for what each call means and which errors it gives.
type Fleet interface {
	scep.Challenges
	IssueChallenge(ctx context.Context, tokenHash string, params fleet.EnrollmentParams) (fleet.Challenge, error)
	IssueSignedIn(ctx context.Context, token adminapi.Key, account string, params fleet.EnrollmentParams) (fleet.Challenge, error)
	AutomatedProfile(ctx context.Context, key adminapi.Key, serialNumber string) (adminapi.AutomatedProfile, error)
	IssueAutomated(ctx context.Context, key adminapi.Key, serialNumber, account string, params fleet.EnrollmentParams) (fleet.Challenge, error)
	Authenticate(ctx context.Context, id fleet.Identity, ch fleet.Channel, facts fleet.DeviceFacts, topic string) error
	TokenUpdate(ctx context.Context, id fleet.Identity, ch fleet.Channel, push fleet.PushInfo, unlockToken []byte, awaitingConfiguration bool) error
	CheckOut(ctx context.Context, id fleet.Identity, ch fleet.Channel) error
	SetBootstrapToken(ctx context.Context, id fleet.Identity, ch fleet.Channel, token []byte) error
	BootstrapToken(ctx context.Context, id fleet.Identity, ch fleet.Channel) ([]byte, error)
	AllowUserChannel(ctx context.Context, id fleet.Identity, ch fleet.Channel) error
	Verify(ctx context.Context, id fleet.Identity, ch fleet.Channel) error
	Connect(ctx context.Context, id fleet.Identity, ch fleet.Channel, r fleet.Report) (command []byte, err error)
}

// Options is what the package works with. The functions are called per request, so that a reloaded credential is used at once.
type Options struct {
	// Config has its Apple part set.
	Config serverconfig.Config
	// CAs returns the loaded generations of the device-identity CA.
	CAs func() []identity.CA
	// ImportCAs returns the certificates of the CAs of Config.Apple.Imports; nil: there are none.
	ImportCAs func() []*x509.Certificate
	// Serving returns the TLS certificate that devices see; it signs profiles. Nil: there is none yet.
	Serving func() *tls.Certificate
	// ServingCA returns the PEM certificates behind Serving. They are used when Config.TrustAnchor is set.
	ServingCA func() []byte
	// DeviceRoots are trusted to vouch for devices in Setup Assistant; nil: Apple is.
	DeviceRoots []*x509.Certificate
	// Topic returns the push certificate's topic, empty while there is no push certificate.
	Topic func() string
	// SignInSecret returns the secret of the OpenID Connect client. It is called only when Config.Apple.SignIn is set.
	SignInSecret func() string
	// Seal keeps what a browser holds of a sign-in from being read and changed.
	Seal fleet.Sealer
	Now  func() time.Time
	Log  *slog.Logger
}

// Apple is the Apple side of one server. It implements fleet.Encoder.
type Apple struct {
	command.Encoder
	Options
	imports map[string]importPath
}

var errNoApple = errors.New("the configuration has no part for Apple devices")

// New returns the Apple side of a server.
func New(o Options) (*Apple, error) {
	if o.Config.Apple == nil {
		return nil, errNoApple
	}
	imports, err := importPaths(o.Config.Apple.Imports)
	if err != nil {
		return nil, err
	}
	a := &Apple{Options: o, imports: imports}
	a.Encoder = command.Encoder{Sign: a.sign, Renew: a.renewal}
	return a, nil
}

// Handler serves all endpoints of Apple devices. It never answers 401, on which a device may unenrol.
func (a *Apple) Handler(f Fleet) http.Handler {
	devices := identity.Options{CAs: a.CAs, Imported: a.ImportCAs, Chains: &identity.Chains{}, Now: a.Now, Log: a.Log}
	device := &protocol{fleet: f, log: a.Log}
	checkin, command := devices.Middleware(device.checkinHandler()), devices.Middleware(http.HandlerFunc(device.serveCommand))
	mux := http.NewServeMux()
	mux.Handle(pathCheckin, checkin)
	mux.Handle(pathCommand, command)
	a.serveImports(mux, checkin, command)
	mux.Handle(pathSCEP, scep.NewHandler(scep.Options{
		Challenges: f,
		CAs:        a.CAs,
		Validity:   time.Duration(a.Config.Apple.Identity.Validity),
		Now:        a.Now,
		Log:        a.Log,
	}))
	mux.Handle("GET "+pathEnroll, &enrollHandler{a.Invitations(f)})
	automated := &automatedHandler{apple: a, fleet: f}
	mux.Handle("POST "+pathAutomated, automated)
	automated.registerSignIn(mux)
	return patient(mux)
}

// params are those of an enrolment that begins now.
func (a *Apple) params(topic string) fleet.EnrollmentParams {
	return fleet.EnrollmentParams{
		PayloadIdentifier: "io.kubemdm." + a.Config.Namespace + "." + a.Config.Name + ".enroll",
		ServerURL:         a.url(pathCommand),
		CheckInURL:        a.url(pathCheckin),
		Topic:             topic,
		AccessRights:      a.Config.Apple.AccessRights,
	}
}

func (a *Apple) url(path string) string { return "https://" + a.Config.Host + path }

// profile renders the unsigned enrolment profile.
func (a *Apple) profile(params fleet.EnrollmentParams, enrollmentID, challenge string) ([]byte, error) {
	anchors, err := a.anchors()
	if err != nil {
		return nil, err
	}
	return profile.Enrollment{
		Params:       params,
		Organization: a.Config.Organization,
		SCEPURL:      a.url(pathSCEP),
		EnrollmentID: enrollmentID,
		Challenge:    challenge,
		Anchors:      anchors,
	}.Render()
}

func (a *Apple) renewal(enrollmentID string, r fleet.Renewal) ([]byte, error) {
	unsigned, err := a.profile(r.Params, enrollmentID, r.Challenge)
	if err != nil {
		return nil, err
	}
	return a.sign(unsigned)
}

func (a *Apple) sign(content []byte) ([]byte, error) { return profile.Sign(content, a.Serving()) }

func (a *Apple) anchors() ([]*x509.Certificate, error) {
	if !a.Config.TrustAnchor {
		return nil, nil
	}
	anchors, err := identity.ParseCertificates(a.ServingCA())
	if err != nil {
		return nil, fmt.Errorf("reading the trust anchors: %w", err)
	}
	return anchors, nil
}
