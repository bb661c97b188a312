package windows

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// returnSchemes are those of the applications in which Windows shows the page (MS-MDE2, section 3.2.1). A web site gets no ticket.
var returnSchemes = []string{"ms-app", "ms-appx-web"}

// maxReturn bounds a return address, in bytes: it comes back in a cookie.
const maxReturn = 1024

var (
	errReturn  = errors.New("the page was not opened by Windows")
	errDenied  = errors.New("the issuer refused the sign-in")
	errIssuer  = errors.New("the issuer cannot be reached")
	errAnswer  = errors.New("the issuer's answer does not hold")
	errAddress = errors.New("the person's e-mail address is not confirmed or not of an allowed domain")
)

// signIn serves the page to which Windows sends people under the Federated policy (MS-MDE2, section 3.2): it sends them on to an OpenID Connect issuer,
// and what it gives back to Windows is a ticket, good for one enrolment.
type signIn struct {
	*Windows
	issuer *issuer
}

func newSignIn(w *Windows) *signIn {
	return &signIn{Windows: w, issuer: &issuer{config: *w.Config.Windows.SignIn}}
}

func (s *signIn) register(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathSignIn, s.page(s.begin))
	mux.HandleFunc("GET "+pathCallback, s.page(s.finish))
}

// begin sends a person to the issuer.
func (s *signIn) begin(rw http.ResponseWriter, r *http.Request) error {
	back := r.URL.Query().Get("appru")
	if err := checkReturn(back); err != nil {
		return err
	}
	client, _, err := s.client(r.Context())
	if err != nil {
		return err
	}
	a := &attempt{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Return: back, ExpiresAt: s.Now().Add(attemptLife),
	}
	cookie, err := a.cookie(s.SignInSecret())
	if err != nil {
		return err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if hint := r.URL.Query().Get("login_hint"); hint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", hint))
	}
	http.SetCookie(rw, cookie)
	http.Redirect(rw, r, client.AuthCodeURL(a.State, options...), http.StatusFound)
	return nil
}

func checkReturn(back string) error {
	u, err := url.Parse(back)
	if err != nil || len(back) > maxReturn || u.Host == "" || !slices.Contains(returnSchemes, u.Scheme) {
		return errReturn
	}
	return nil
}

// client is the server's part towards the issuer.
func (s *signIn) client(ctx context.Context) (*oauth2.Config, *knownIssuer, error) {
	known, err := s.issuer.get(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errIssuer, err)
	}
	return &oauth2.Config{
		ClientID:     s.issuer.config.ClientID,
		ClientSecret: s.SignInSecret(),
		Endpoint:     known.Endpoint(),
		RedirectURL:  s.url(pathCallback),
		Scopes:       []string{oidc.ScopeOpenID, "email", "profile"},
	}, known, nil
}

// finish takes the issuer's answer and hands a ticket to Windows.
func (s *signIn) finish(rw http.ResponseWriter, r *http.Request) error {
	a, err := attemptOf(r, s.SignInSecret(), s.Now())
	if err != nil {
		return err
	}
	query := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(a.State)) != 1 {
		return fmt.Errorf("%w: the answer is to another one", errAttempt)
	}
	http.SetCookie(rw, emptyCookie())
	if code := query.Get("error"); code != "" {
		return fmt.Errorf("%w: %.40q", errDenied, code)
	}
	who, err := s.identify(r.Context(), a, query.Get("code"))
	if err != nil {
		return err
	}
	address, err := who.address(s.issuer.config.Domains)
	if err != nil {
		return err
	}
	ticket, err := s.Fleet.IssueTicket(r.Context(), adminapi.Key(s.issuer.config.Token), address)
	if err != nil {
		return err
	}
	return s.signedIn(rw, a.Return, ticket.Secret)
}

// identify exchanges the code for an ID token and verifies that (OpenID Connect Core 1.0, section 3.1.3.7).
func (s *signIn) identify(ctx context.Context, a *attempt, code string) (*person, error) {
	client, known, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, known.client)
	tokens, err := client.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) {
		return nil, fmt.Errorf("%w: exchanging the code: %.40q", errAnswer, refused.ErrorCode) // its text holds the answer's body
	}
	if err != nil {
		return nil, fmt.Errorf("%w: exchanging the code: %w", errIssuer, err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	token, err := known.Verifier(&oidc.Config{ClientID: client.ClientID, Now: s.Now}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(a.Nonce)) != 1 {
		return nil, fmt.Errorf("%w: the nonce is another one", errAnswer)
	}
	who := &person{Subject: token.Subject}
	if err := token.Claims(who); err != nil {
		return nil, fmt.Errorf("%w: reading the claims: %w", errAnswer, err)
	}
	return who, nil
}

// person is whom the issuer saw. Some issuers write booleans as strings.
type person struct {
	Subject           string `json:"-"`
	UPN               string `json:"upn"`
	Email             string `json:"email"`
	EmailVerified     any    `json:"email_verified"`
	PreferredUsername string `json:"preferred_username"`
}

// address is what the person is called. With domains given, only an address counts that the issuer vouches for: a UPN, or an e-mail address that it says
// was verified. Error: errAddress.
func (p *person) address(domains []string) (string, error) {
	vouched := p.UPN
	if vouched == "" && (p.EmailVerified == true || p.EmailVerified == "true") {
		vouched = p.Email
	}
	if len(domains) == 0 {
		return cmp.Or(vouched, p.Email, p.PreferredUsername, p.Subject), nil
	}
	_, domain, _ := strings.Cut(vouched, "@")
	if !slices.ContainsFunc(domains, func(allowed string) bool { return strings.EqualFold(allowed, domain) }) {
		return "", errAddress
	}
	return vouched, nil
}
