package enroll

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/signin"
)

// Paths below the server's host. A person sees the first two; the third is in links that administrators give out.
const (
	pathHome     = "/"
	pathEnroll   = "/enroll"
	pathLink     = "/enroll/{token}"
	pathOwn      = "/enroll-page/"
	pathCode     = pathOwn + "code"
	pathPass     = pathOwn + "pass/"
	pathSignIn   = pathOwn + "signin"
	pathCallback = pathOwn + "signin/callback" // registered at the issuer
	pathAssets   = pathOwn + "assets/"
)

// Fleet is what the page asks of fleet.Fleet; see there for which errors each call gives.
type Fleet interface {
	CheckToken(ctx context.Context, tokenHash string, platform adminapi.Platform) error
	CheckSignIn(ctx context.Context, token adminapi.Key, platform adminapi.Platform) error
}

// Apple makes enrolment profiles for Apple devices: apple.Invitations.
type Apple interface {
	ByToken(ctx context.Context, tokenHash string) (profile []byte, err error)
	ByAccount(ctx context.Context, token adminapi.Key, account string) (profile []byte, err error)
}

// Options is what the page works with. The functions are called per request, so that a reloaded credential is used at once.
type Options struct {
	Config serverconfig.Config
	Fleet  Fleet
	// Apple and Tools are nil on a server without Apple devices. Tools answers whoever fetches a profile at an enrolment link and is no browser.
	Apple Apple
	Tools http.Handler
	// Topic returns the push certificate's topic, empty while there is no push certificate. It is called only when Apple is set.
	Topic func() string
	// SignInSecret returns the secret of the OpenID Connect client. It is called only when people sign in on the page.
	SignInSecret func() string
	// Seal keeps what a browser holds from being read and changed.
	Seal fleet.Sealer
	Now  func() time.Time
	Log  *slog.Logger
}

// Page is the enrolment page of one server.
type Page struct {
	Options
	flow   *signin.Flow // nil where nobody can sign in on the page
	limit  *limit
	assets *assets
	logo   *logo
	origin *http.CrossOriginProtection
}

// New returns the page of a server. The error says what is wrong with its look.
func New(o Options) (*Page, error) {
	p := &Page{Options: o, limit: newLimit(o.Now), logo: newLogo(o.Config.Page.LogoFile, o.Log), origin: http.NewCrossOriginProtection()}
	var err error
	if p.assets, err = newAssets(o.Config.Page.Color); err != nil {
		return nil, err
	}
	if err := p.origin.AddTrustedOrigin("https://" + o.Config.Host); err != nil { // a proxy may have changed the Host header
		return nil, err
	}
	if apple := o.Config.Apple; o.Apple != nil && apple.SignIn != nil && o.Config.Page.SignInToken != "" {
		p.flow = signin.New(signin.Options{
			Config: *apple.SignIn, Secret: o.SignInSecret, RedirectURL: "https://" + o.Config.Host + pathCallback, Seal: o.Seal, Now: o.Now, Log: o.Log,
		})
	}
	return p, nil
}

// Register adds the page's endpoints.
func (p *Page) Register(mux *http.ServeMux) {
	home := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, pathHome+query(r), http.StatusSeeOther)
	}
	mux.HandleFunc("GET /{$}", p.home)
	mux.HandleFunc("GET "+pathEnroll, home)
	mux.HandleFunc("GET "+pathEnroll+"/{$}", home)
	mux.HandleFunc("GET "+pathLink, p.link)
	mux.HandleFunc("POST "+pathCode, p.code)
	mux.HandleFunc("GET "+pathCode, home) // whoever reloads, or chooses another platform after a wrong code
	mux.HandleFunc("GET "+pathPass+"{pass}", p.passed)
	mux.HandleFunc("GET "+pathAssets+"{name}", p.asset)
	if p.flow != nil {
		mux.HandleFunc("GET "+pathSignIn, p.begin)
		mux.HandleFunc("GET "+pathCallback, p.finish)
	}
}

// query is the choice of a platform in an address, to be kept in another one.
func query(r *http.Request) string {
	if chosen, ok := parsePlatform(r.URL.Query().Get("platform")); ok {
		return "?platform=" + string(chosen)
	}
	return ""
}

// serves says whether the server manages devices of the platform.
func (p *Page) serves(of platform) bool {
	switch of {
	case platformMac, platformIOS:
		return p.Apple != nil
	case platformWindows:
		return p.Config.Windows != nil
	}
	return false
}

// windowsSignsIn says whether Windows sends people to sign in, and asks for no code.
func (p *Page) windowsSignsIn() bool {
	return p.Config.Windows != nil && p.Config.Windows.SignIn != nil
}
