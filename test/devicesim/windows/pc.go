package windows

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// Errors of a PC that cannot do what it is asked to.
var (
	ErrNotEnrolled = errors.New("the PC is not enrolled (0x8018000b)")
	ErrEnrolled    = errors.New("the PC is enrolled already (0x8018000a)")
)

// Login is who is logged in while a session runs, as the LoginStatus alert tells it.
type Login string

// Who is logged in: the user who enrolled, others only, or nobody.
const (
	LoginUser   Login = "user"
	LoginOthers Login = "others"
	LoginNone   Login = "none"
)

// Options make a PC. Hardware is needed, all else has a default.
type Options struct {
	Hardware
	// Roots are trusted for TLS; nil are the system's.
	Roots *x509.CertPool
	// Dial makes connections; nil is the network's own way.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Network stands between the PC and its server.
	Network *devicesim.Network
	// Key makes the key of each identity: devicesim.NewKey, or Key of a devicesim.KeyPool that is large enough: a server takes one key that comes twice with
	// the same token for a device that tries again.
	Key func() (*rsa.PrivateKey, error)
	// LegacyCSR writes requests as Windows 10 19043 does: the common name is a PrintableString that holds '!' and NUL.
	LegacyCSR bool
	// EnrollmentType is Full (the certificate goes to the user's store) or Device (to the machine's).
	EnrollmentType EnrollmentType
	// SignatureHeader is MDM-Signature or MS-Signature: the specifications disagree.
	SignatureHeader string
	// MaxChunk is how many bytes of a result one message holds; 0 is any number.
	MaxChunk int
	// Habits are what some real clients do differently.
	Habits Habits
	// AgentInterval is how often Run has the agent, if there is one, poll its configuration.
	AgentInterval time.Duration
	// PollInterval is how often Run has a session, whatever the poll schedule says; 0: as the schedule says.
	PollInterval time.Duration
	// RetryInterval is how long Run waits after a failure.
	RetryInterval time.Duration
	// Now and After are the clock.
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
	// OnEvent is called for each event, also concurrently; it must not call the PC.
	OnEvent func(devicesim.Event)
}

// Habits are deviations of real clients that a server has to put up with.
type Habits struct {
	// OmitHeaderStatus leaves out the Status of the server's SyncHdr.
	OmitHeaderStatus bool
	// OmitFinal leaves out Final in messages that only answer.
	OmitFinal bool
	// OmitContentType leaves out the Content-Type of management requests.
	OmitContentType bool
	// OmitMsgRef leaves out the MsgRef of Results where it is 1, which is what Results without one refer to.
	OmitMsgRef bool
	// NextMsgIDAfterChallenge counts on after a challenge; otherwise the MsgID is repeated.
	NextMsgIDAfterChallenge bool
}

// EnrollmentType is the context item of that name. It decides which store the certificate goes to.
type EnrollmentType string

// The enrolment types.
const (
	EnrollmentFull   EnrollmentType = "Full"
	EnrollmentDevice EnrollmentType = "Device"
)

const (
	defaultAgentInterval = 30 * time.Second
	defaultRetryInterval = 30 * time.Second
)

// PC is one simulated PC. All methods may be called concurrently; it has one conversation with its server at a time.
type PC struct {
	opts   Options
	script script
	woken  chan struct{} // by Sync

	conversation sync.Mutex // held through an enrolment, a renewal or a session

	mu         sync.Mutex // guards what follows
	enrollment *enrollment
	tree       *tree
	agent      *Agent
	login      Login
	sessions   int
	restarts   int
	answers    []CommandAnswer
	wiped      string
	nextMSI    map[string]string // HRESULT of the next installation by product code
}

// enrollment is what a PC keeps of being managed. A renewal replaces it as a whole.
type enrollment struct {
	discoveryURL string
	policy       *Policy
	provisioning *Provisioning
	identity     *devicesim.Identity
	nonce        []byte // of the next digest
	since        time.Time
}

// dmClient is the path of a node below the server's own in the DMClient CSP.
func (e *enrollment) dmClient(node string) string {
	return "Vendor/MSFT/DMClient/Provider/" + e.provisioning.ProviderID + "/" + node
}

// CommandAnswer is one command as the PC answered it. LocURI is that of its first item.
type CommandAnswer struct {
	Verb, LocURI string
	Code         int
}

// New makes a PC that is not enrolled.
func New(opts Options) (*PC, error) {
	if opts.DeviceID == "" {
		return nil, errors.New("a PC needs a DeviceID")
	}
	if opts.Network == nil {
		opts.Network = &devicesim.Network{}
	}
	if opts.Key == nil {
		opts.Key = devicesim.NewKey
	}
	if opts.EnrollmentType == "" {
		opts.EnrollmentType = EnrollmentFull
	}
	if opts.SignatureHeader == "" {
		opts.SignatureHeader = "MDM-Signature"
	}
	if opts.AgentInterval == 0 {
		opts.AgentInterval = defaultAgentInterval
	}
	if opts.RetryInterval == 0 {
		opts.RetryInterval = defaultRetryInterval
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.After == nil {
		opts.After = time.After
	}
	if opts.OnEvent == nil {
		opts.OnEvent = func(devicesim.Event) {}
	}
	return &PC{opts: opts, woken: make(chan struct{}, 1), login: LoginUser, tree: newTree(opts.Hardware), nextMSI: map[string]string{}}, nil
}

// Hardware is what the PC is.
func (pc *PC) Hardware() Hardware { return pc.opts.Hardware }

// Script adds rules; the first that matches a command decides.
func (pc *PC) Script(rules ...Rule) { pc.script.add(rules) }

// Enrolled says whether the PC is managed.
func (pc *PC) Enrolled() bool {
	_, err := pc.current()
	return err == nil
}

// Identity returns the current certificate and key, nil when the PC is not enrolled.
func (pc *PC) Identity() *devicesim.Identity {
	e, err := pc.current()
	if err != nil {
		return nil
	}
	return e.identity
}

// Provisioning returns what the PC was given when it enrolled, nil when it is not enrolled.
func (pc *PC) Provisioning() *Provisioning {
	e, err := pc.current()
	if err != nil {
		return nil
	}
	return e.provisioning
}

// SetLogin changes who is logged in. LoginUser wakes Run if the server asked for sessions at log-in.
func (pc *PC) SetLogin(login Login) {
	pc.mu.Lock()
	pc.login = login
	wake := login == LoginUser && pc.enrollment != nil && pc.tree.value(pc.enrollment.dmClient("Poll/PollOnLogin")) == "true"
	pc.mu.Unlock()
	if wake {
		pc.Sync()
	}
}

// Sync wakes Run to have a session at once.
func (pc *PC) Sync() {
	select {
	case pc.woken <- struct{}{}:
	default: // it is being woken
	}
}

// Node returns the leaf of the management tree at a LocURI.
func (pc *PC) Node(locURI string) (Node, bool) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	n, ok := pc.tree.leaves[canonical(locURI)]
	return n, ok
}

// SetNode changes the tree behind the server's back, as a local administrator may.
func (pc *PC) SetNode(locURI string, n Node) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	pc.tree.leaves[canonical(locURI)] = n
}

// RemoveNode removes a node and all below it behind the server's back.
func (pc *PC) RemoveNode(locURI string) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	pc.tree.remove(canonical(locURI))
}

// Answers returns every command that was answered, in order, through all enrolments.
func (pc *PC) Answers() []CommandAnswer {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	return slices.Clone(pc.answers)
}

// Restarts counts the restarts that the server asked for.
func (pc *PC) Restarts() int {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	return pc.restarts
}

// Wiped is the node of RemoteWipe by which the PC was last wiped, empty before that.
func (pc *PC) Wiped() string {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	return pc.wiped
}

func (pc *PC) current() (*enrollment, error) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	if pc.enrollment == nil {
		return nil, ErrNotEnrolled
	}
	return pc.enrollment, nil
}

// forget leaves management: all that came from the server goes.
func (pc *PC) forget(kind devicesim.EventKind, detail string) {
	pc.mu.Lock()
	pc.enrollment, pc.tree = nil, newTree(pc.opts.Hardware)
	pc.mu.Unlock()
	pc.event(kind, detail)
}

func (pc *PC) event(kind devicesim.EventKind, detail string) {
	pc.opts.OnEvent(devicesim.Event{Serial: pc.opts.SerialNumber, Kind: kind, Detail: detail})
}

// wait waits on the PC's clock.
func (pc *PC) wait(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting: %w", ctx.Err())
	case <-pc.opts.After(pause):
		return nil
	}
}
