// Package oidcissuer is a small OpenID Connect issuer for tests: a sign-in page with a form, the authorization code flow with PKCE, signed ID tokens.
package oidcissuer

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Names of the fields of the sign-in form.
const (
	FieldUsername = "username"
	FieldPassword = "password"
)

// tokenLife is how long an ID token is good for.
const tokenLife = 5 * time.Minute

// User is somebody who can sign in.
type User struct {
	Password string
	// Claims go into the ID token.
	Claims map[string]any
}

// Config is what an issuer knows.
type Config struct {
	// URL is the issuer, without a slash at the end.
	URL                    string
	ClientID, ClientSecret string
	Users                  map[string]User
	Now                    func() time.Time
}

// Issuer is an http.Handler for everything below its URL.
type Issuer struct {
	http.Handler
	// Tamper, if set, changes the claims of each ID token before it is signed; Key signs it, and is published unless it was replaced.
	Tamper func(claims map[string]any)
	Key    *rsa.PrivateKey

	config    Config
	published *rsa.PublicKey
	mu        sync.Mutex
	codes     map[string]grant
}

// grant is what a code stands for.
type grant struct {
	user string
	url.Values
}

const keyID = "key-1"

// New makes an issuer with a fresh key.
func New(c Config) (*Issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	i := &Issuer{Key: key, config: c, published: &key.PublicKey, codes: map[string]grant{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discover)
	mux.HandleFunc("GET /authorize", i.form)
	mux.HandleFunc("POST /authorize", i.signIn)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /keys", i.keys)
	i.Handler = mux
	return i, nil
}

func (i *Issuer) discover(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"issuer":                                i.config.URL,
		"authorization_endpoint":                i.config.URL + "/authorize",
		"token_endpoint":                        i.config.URL + "/token",
		"jwks_uri":                              i.config.URL + "/keys",
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.published, KeyID: keyID, Algorithm: "RS256", Use: "sig"}}})
}

var page = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in</title></head><body>
<form method="post">{{if .Wrong}}<p>Wrong name or password.</p>{{end}}
<label>User name <input name="username" value="{{.Hint}}" autofocus></label>
<label>Password <input name="password" type="password"></label>
<button type="submit">Sign in</button> <button type="submit" name="cancel" value="1">Cancel</button></form></body></html>`))

// form shows the sign-in page; it is posted to its own address, whose query is the request.
func (i *Issuer) form(w http.ResponseWriter, r *http.Request) {
	if i.refuses(w, r) {
		return
	}
	show(w, http.StatusOK, r.URL.Query().Get("login_hint"), false)
}

func show(w http.ResponseWriter, status int, hint string, wrong bool) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	page.Execute(w, map[string]any{"Hint": hint, "Wrong": wrong}) //nolint:errcheck // the test sees a page that breaks off
}

func (i *Issuer) refuses(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	wrong := q.Get("client_id") != i.config.ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" ||
		q.Get("code_challenge") == "" || q.Get("state") == "" || q.Get("redirect_uri") == ""
	if wrong {
		http.Error(w, "this is no request of a client that is known here", http.StatusBadRequest)
	}
	return wrong
}

func (i *Issuer) signIn(w http.ResponseWriter, r *http.Request) {
	if i.refuses(w, r) {
		return
	}
	q, name := r.URL.Query(), r.PostFormValue(FieldUsername)
	back := url.Values{"state": {q.Get("state")}}
	user, known := i.config.Users[name]
	switch {
	case r.PostFormValue("cancel") != "":
		back.Set("error", "access_denied")
	case !known || user.Password != r.PostFormValue(FieldPassword):
		show(w, http.StatusUnauthorized, name, true)
		return
	default:
		code := rand.Text()
		i.mu.Lock()
		i.codes[code] = grant{name, q}
		i.mu.Unlock()
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

// token exchanges a code, once (RFC 6749, section 4.1.3; RFC 7636, section 4.6).
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	i.mu.Lock()
	g, found := i.codes[r.PostFormValue("code")]
	delete(i.codes, r.PostFormValue("code"))
	i.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	fits := found && r.PostFormValue("redirect_uri") == g.Get("redirect_uri") &&
		base64.RawURLEncoding.EncodeToString(challenge[:]) == g.Get("code_challenge")
	switch {
	case id != i.config.ClientID || secret != i.config.ClientSecret:
		refuse(w, http.StatusUnauthorized, "invalid_client")
	case !fits:
		refuse(w, http.StatusBadRequest, "invalid_grant")
	default:
		signed, err := i.sign(g)
		if err != nil {
			refuse(w, http.StatusInternalServerError, "server_error")
			return
		}
		answer(w, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()), "id_token": signed})
	}
}

func (i *Issuer) sign(g grant) (string, error) {
	now := i.config.Now()
	claims := map[string]any{
		"iss": i.config.URL, "sub": "user-" + g.user, "aud": i.config.ClientID, "nonce": g.Get("nonce"),
		"iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	}
	maps.Copy(claims, i.config.Users[g.user].Claims)
	if i.Tamper != nil {
		i.Tamper(claims)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: i.Key, KeyID: keyID}}, nil)
	if err != nil {
		return "", fmt.Errorf("making a signer: %w", err)
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"error": code}) //nolint:errcheck // the test sees an answer that breaks off
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the test sees an answer that breaks off
}
