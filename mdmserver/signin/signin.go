package signin

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

var (
	errNoSecret = errors.New("the secret of the OpenID Connect client is empty")
	errDenied   = errors.New("the issuer refused the sign-in")
	errIssuer   = errors.New("the issuer cannot be reached")
	errAnswer   = errors.New("the issuer's answer does not hold")
	errAddress  = errors.New("the person's e-mail address is not confirmed or not of an allowed domain")
)

// Options is what a Flow works with. The functions are called per request, so that a reloaded credential is used at once.
type Options struct {
	Config serverconfig.SignIn
	// Secret returns the secret of the OpenID Connect client.
	Secret func() string
	// RedirectURL is the address that is registered at the issuer for its answers: that of Finish.
	RedirectURL string
	Seal        Sealer
	// Refusals are what people read when the platform's own steps fail.
	Refusals []Refusal
	Now      func() time.Time
	Log      *slog.Logger
}

// Flow signs people in for one platform. The issuer is asked who it is at the first sign-in.
type Flow struct {
	Options
	issuer *issuer
}

// New returns a Flow.
func New(o Options) *Flow { return &Flow{Options: o, issuer: &issuer{config: o.Config}} }

// Account is somebody who has signed in.
type Account struct {
	// Address is what the person is called: a UPN, an e-mail address, or what else the issuer said if any account may enrol.
	Address string
	// Carried is what Begin was given.
	Carried string
}

// Begin sends a browser to the issuer. What is carried comes back in Finish, from the same browser: it is sealed meanwhile, so nobody reads or
// changes it. It has to fit into a cookie: about 2000 bytes do. The hint, if there is one, is the name that the issuer's page shows.
func (f *Flow) Begin(w http.ResponseWriter, r *http.Request, carried, hint string) error {
	client, _, err := f.client(r.Context())
	if err != nil {
		return err
	}
	a := &attempt{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Carried: carried, ExpiresAt: f.Now().Add(attemptLife),
	}
	cookie, err := f.cookie(a)
	if err != nil {
		return err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if hint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", hint))
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, client.AuthCodeURL(a.State, options...), http.StatusFound)
	return nil
}

// client is the server's part towards the issuer.
func (f *Flow) client(ctx context.Context) (*oauth2.Config, *knownIssuer, error) {
	secret := f.Secret()
	if secret == "" {
		return nil, nil, errNoSecret
	}
	known, err := f.issuer.get(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errIssuer, err)
	}
	return &oauth2.Config{
		ClientID:     f.Config.ClientID,
		ClientSecret: secret,
		Endpoint:     known.Endpoint(),
		RedirectURL:  f.RedirectURL,
		Scopes:       []string{oidc.ScopeOpenID, "email", "profile"},
	}, known, nil
}

// Finish takes the issuer's answer, once, from the browser that began.
func (f *Flow) Finish(w http.ResponseWriter, r *http.Request) (*Account, error) {
	a, err := f.attemptOf(r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(a.State)) != 1 {
		return nil, fmt.Errorf("%w: the answer is to another one", ErrAttempt)
	}
	http.SetCookie(w, emptyCookie())
	if code := query.Get("error"); code != "" {
		return nil, fmt.Errorf("%w: %.40q", errDenied, code)
	}
	who, err := f.identify(r.Context(), a, query.Get("code"))
	if err != nil {
		return nil, err
	}
	address, err := who.address(f.Config.Domains)
	if err != nil {
		return nil, err
	}
	return &Account{Address: address, Carried: a.Carried}, nil
}

// identify exchanges the code for an ID token and verifies that (OpenID Connect Core 1.0, section 3.1.3.7).
func (f *Flow) identify(ctx context.Context, a *attempt, code string) (*person, error) {
	client, known, err := f.client(ctx)
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
	token, err := known.Verifier(&oidc.Config{ClientID: client.ClientID, Now: f.Now}).Verify(ctx, raw)
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

// address is what the person is called. With domains given, only an address counts that the issuer vouches for: a UPN, or an e-mail address that
// it says was verified. Error: errAddress.
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
