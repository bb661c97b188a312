package signin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// attemptCookie can be set by this host alone (RFC 6265bis, section 4.1.3.2).
	attemptCookie = "__Host-kubemdm-signin"
	// attemptLife is how long a person may take at the issuer.
	attemptLife = 10 * time.Minute
	// maxCookie bounds an attempt as the browser gets it: it keeps 4096 bytes of a cookie with its name and attributes (RFC 6265bis, section 5.5).
	maxCookie = 3900
)

// ErrAttempt is the error of a browser that brings no sign-in, one that was not begun here, or one that took too long.
var ErrAttempt = errors.New("the browser has no sign-in under way")

var errCarried = errors.New("the sign-in is to carry more than fits into a cookie")

// Sealer encrypts an attempt for the time that a browser keeps it; fleet.Sealer says what the context is for.
type Sealer interface {
	Seal(plain, context []byte) ([]byte, error)
	Open(sealed, context []byte) ([]byte, error)
}

// attempt is a sign-in under way. The browser keeps it, sealed, so that any replica can finish what another one began.
type attempt struct {
	State, Nonce, Verifier string
	Carried                string
	ExpiresAt              time.Time
}

// context binds an attempt to the address that the issuer answers to, so that no platform takes up what another one began.
func (f *Flow) context() []byte { return []byte("sign-in\x00" + f.RedirectURL) }

// cookie seals the attempt. Lax lets it come back with the redirect from the issuer, which is a navigation by GET.
func (f *Flow) cookie(a *attempt) (*http.Cookie, error) {
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false) // six bytes for each & of an address
	if err := encoder.Encode(a); err != nil {
		return nil, err
	}
	sealed, err := f.Seal.Seal(plain.Bytes(), f.context())
	if err != nil {
		return nil, fmt.Errorf("sealing a sign-in: %w", err)
	}
	c := emptyCookie()
	c.Value = base64.RawURLEncoding.EncodeToString(sealed)
	if len(c.Value) > maxCookie {
		return nil, errCarried
	}
	c.MaxAge = int(attemptLife / time.Second)
	return c, nil
}

// emptyCookie takes an attempt out of the browser.
func emptyCookie() *http.Cookie {
	return &http.Cookie{Name: attemptCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// attemptOf opens the attempt that a browser brings. Error: ErrAttempt.
func (f *Flow) attemptOf(r *http.Request) (*attempt, error) {
	cookie, err := r.Cookie(attemptCookie)
	if err != nil {
		return nil, ErrAttempt
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return nil, ErrAttempt
	}
	plain, err := f.Seal.Open(sealed, f.context())
	if err != nil {
		return nil, ErrAttempt // the error would show what a stranger sent
	}
	a := &attempt{}
	if err := json.Unmarshal(plain, a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAttempt, err)
	}
	if !f.Now().Before(a.ExpiresAt) {
		return nil, fmt.Errorf("%w: it has expired", ErrAttempt)
	}
	return a, nil
}
