package windows

import (
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/signin"
)

// returnSchemes are those of the applications in which Windows shows the page (MS-MDE2, section 3.2.1). A web site gets no ticket.
var returnSchemes = []string{"ms-app", "ms-appx-web"}

// maxReturn bounds a return address, in bytes: it comes back in a cookie.
const maxReturn = 1024

var errReturn = errors.New("the page was not opened by Windows")

// signInRefusals are what people read in place of a ticket.
var signInRefusals = []signin.Refusal{
	{Err: errReturn, Status: http.StatusBadRequest, Text: "Windows opens this page when you add a work or school account. It does nothing in a browser."},
	{Err: fleet.ErrTokenUnusable, Status: http.StatusForbidden, Text: "Nobody can enrol by signing in right now. Ask your administrator."},
	{Err: fleet.ErrUnavailable, Status: http.StatusServiceUnavailable, Text: "The server cannot enrol devices right now. Try again in a few minutes."},
}

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(signin.Pages().ParseFS(pageFiles, "pages/*.html"))

// signIn serves the page to which Windows sends people under the Federated policy (MS-MDE2, section 3.2): what it gives back to Windows is a ticket,
// good for one enrolment.
type signIn struct {
	*Windows
	flow *signin.Flow
}

func newSignIn(w *Windows) *signIn {
	return &signIn{Windows: w, flow: signin.New(signin.Options{
		Config: *w.Config.Windows.SignIn, Secret: w.SignInSecret, RedirectURL: w.url(pathCallback), Seal: w.Seal,
		Refusals: signInRefusals, Now: w.Now, Log: w.Log,
	})}
}

func (s *signIn) register(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathSignIn, s.flow.Page(s.begin))
	mux.HandleFunc("GET "+pathCallback, s.flow.Page(s.finish))
}

// begin sends a person to the issuer. The sign-in carries the address at which Windows waits for the ticket.
func (s *signIn) begin(rw http.ResponseWriter, r *http.Request) error {
	back := r.URL.Query().Get("appru")
	if err := checkReturn(back); err != nil {
		return err
	}
	return s.flow.Begin(rw, r, back, r.URL.Query().Get("login_hint"))
}

func checkReturn(back string) error {
	u, err := url.Parse(back)
	if err != nil || len(back) > maxReturn || u.Host == "" || !slices.Contains(returnSchemes, u.Scheme) {
		return errReturn
	}
	return nil
}

// finish takes the issuer's answer and hands a ticket to Windows.
func (s *signIn) finish(rw http.ResponseWriter, r *http.Request) error {
	account, err := s.flow.Finish(rw, r)
	if err != nil {
		return err
	}
	ticket, err := s.Fleet.IssueTicket(r.Context(), adminapi.Key(s.Config.Windows.SignIn.Token), account.Address)
	if err != nil {
		return err
	}
	return s.signedIn(rw, account.Carried, ticket.Secret)
}

// signedIn hands the ticket to Windows: by itself, or when the person presses the button.
func (s *signIn) signedIn(rw http.ResponseWriter, back, ticket string) error {
	u, err := url.Parse(back)
	if err != nil {
		return err
	}
	page := struct {
		Organization, Ticket, Nonce string
		Return                      template.URL
	}{s.Config.Organization, ticket, rand.Text(), template.URL(back)} // checkReturn saw its scheme
	return signin.Render(rw, http.StatusOK, pages, "signed-in.html", signin.Policy{Nonce: page.Nonce, FormAction: u.Scheme + ":"}, page)
}
