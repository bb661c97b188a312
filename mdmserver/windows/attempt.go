package windows

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
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
)

var (
	errNoSecret = errors.New("the secret of the OpenID Connect client is empty")
	errAttempt  = errors.New("the browser has no sign-in under way")
)

// attempt is a sign-in under way. The browser keeps it, sealed, so that any replica can finish what another one began.
type attempt struct {
	State, Nonce, Verifier string
	// Return is where Windows waits for the ticket.
	Return    string
	ExpiresAt time.Time
}

// sealer derives its key from the secret that all replicas share with the issuer.
func sealer(secret string) (cipher.AEAD, error) {
	if secret == "" {
		return nil, errNoSecret
	}
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "kubemdm sign-in attempt", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// cookie seals the attempt. Lax lets it come back with the redirect from the issuer, which is a navigation by GET.
func (a *attempt) cookie(secret string) (*http.Cookie, error) {
	aead, err := sealer(secret)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	c := emptyCookie()
	c.Value = base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, plain, nil))
	c.MaxAge = int(attemptLife / time.Second)
	return c, nil
}

// emptyCookie takes an attempt out of the browser.
func emptyCookie() *http.Cookie {
	return &http.Cookie{Name: attemptCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// attemptOf opens the attempt that a browser brings. Errors: errAttempt, errNoSecret.
func attemptOf(r *http.Request, secret string, now time.Time) (*attempt, error) {
	aead, err := sealer(secret)
	if err != nil {
		return nil, err
	}
	cookie, err := r.Cookie(attemptCookie)
	if err != nil {
		return nil, errAttempt
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	if err != nil {
		return nil, errAttempt
	}
	plain, err := aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, errAttempt
	}
	a := &attempt{}
	if err := json.Unmarshal(plain, a); err != nil {
		return nil, fmt.Errorf("%w: %w", errAttempt, err)
	}
	if !now.Before(a.ExpiresAt) {
		return nil, fmt.Errorf("%w: it has expired", errAttempt)
	}
	return a, nil
}
