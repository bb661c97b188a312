//go:build pkcs11

package keys

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"

	p11 "github.com/miekg/pkcs11"
	"go.step.sm/crypto/kms/apiv1"
	"go.step.sm/crypto/kms/pkcs11"
	"go.step.sm/crypto/kms/uri"

	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

// maxSessions is enough for one call at a time and the session that keeps the login.
const maxSessions = 2

// token is a token that this process uses. PKCS#11 initialises a module and logs in to a token once per process, so all keys of a token share one
// login and are used one after the other.
type token struct {
	module, label string
	// busy is full while a call is under way. The fields below belong to that call.
	busy chan struct{}
	// kms is nil while the token is not open; pin is the hash of the PIN that opened it.
	kms *pkcs11.PKCS11
	pin [sha256.Size]byte
	// refused is the hash of the PIN that the token refused last: a few wrong tries lock a token for good.
	refused [sha256.Size]byte
}

var tokens = struct {
	sync.Mutex
	all map[string]*token
}{all: map[string]*token{}}

// tokenOf returns the one record of a token. Links to a module are the same module.
func tokenOf(key keyuri.Key) *token {
	module := key.Module
	if target, err := filepath.EvalSymlinks(module); err == nil {
		module = target
	}
	tokens.Lock()
	defer tokens.Unlock()
	id := module + "\x00" + key.Token
	t := tokens.all[id]
	if t == nil {
		t = &token{module: module, label: key.Token, busy: make(chan struct{}, 1)}
		tokens.all[id] = t
	}
	return t
}

// closeTokens leaves alone what is in use: its module may hang.
func closeTokens() {
	tokens.Lock()
	defer tokens.Unlock()
	for _, t := range tokens.all {
		select {
		case t.busy <- struct{}{}:
			t.close()
			<-t.busy
		default:
		}
	}
}

// ask does something on a token. What fails on a session from before is tried once more on a new one, for sessions break when a token or the way
// to it goes away and comes back. A module that hangs holds the token, and whoever comes then waits callTimeout in vain.
func ask[T any](ctx context.Context, t *token, pin string, use func(*pkcs11.PKCS11) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	select {
	case t.busy <- struct{}{}:
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: the module of the token %s does not return", ErrUnavailable, t.label)
	}
	return within(ctx, func() (T, error) {
		defer func() { <-t.busy }()
		return try(t, pin, use)
	})
}

func try[T any](t *token, pin string, use func(*pkcs11.PKCS11) (T, error)) (T, error) {
	for old := t.kms != nil; ; old = false {
		var none T
		if err := t.open(pin); err != nil {
			return none, err
		}
		value, err := use(t.kms)
		if err == nil {
			return value, nil
		}
		if !old {
			return none, explainToken(err)
		}
		t.close()
	}
}

// open logs in. Whoever has another PIN than the login that is there must not profit from it, so the token decides on that PIN.
func (t *token) open(pin string) error {
	if pin == "" {
		return fmt.Errorf("%w: there is no PIN for the token %s: give the PIN of its user", ErrRefused, t.label)
	}
	hash := sha256.Sum256([]byte(pin))
	if t.kms != nil && subtle.ConstantTimeCompare(hash[:], t.pin[:]) == 1 {
		return nil
	}
	if hash == t.refused {
		return t.pinRefused()
	}
	t.close()
	values := url.Values{"module-path": {t.module}, "token": {t.label}, "max-sessions": {strconv.Itoa(maxSessions)}}
	kms, err := pkcs11.New(context.Background(), apiv1.Options{URI: uri.New(pkcs11.Scheme, values).String(), Pin: pin})
	var code p11.Error
	if errors.As(err, &code) && (code == p11.CKR_PIN_INCORRECT || code == p11.CKR_PIN_INVALID || code == p11.CKR_PIN_LEN_RANGE) {
		t.refused = hash
		return t.pinRefused()
	}
	if err != nil {
		err = explainToken(err)
		if errors.Is(err, ErrUnavailable) {
			err = fmt.Errorf("%w (module %s, token %s): check that the module is in the image, and that its configuration leads to a token with this label", err, t.module, t.label)
		}
		return err
	}
	t.kms, t.pin = kms, hash
	return nil
}

func (t *token) pinRefused() error {
	return fmt.Errorf("%w: the token %s does not take the PIN: give the right one; the same one is not tried again, lest the token lock itself, before this program restarts", ErrRefused, t.label)
}

func (t *token) close() {
	if t.kms != nil {
		_ = t.kms.Close() // the module says nothing of use
		t.kms = nil
	}
}

func isNoKey(err error) bool { return errors.Is(err, ErrNoKey) }

// unfit are the answers of a token that another session would not change.
var unfit = map[p11.Error]string{
	p11.CKR_PIN_LOCKED:                 "the PIN is locked: let the security officer of the token set it anew",
	p11.CKR_PIN_EXPIRED:                "the PIN has expired: set a new one",
	p11.CKR_USER_PIN_NOT_INITIALIZED:   "the token has no PIN yet: let its security officer set one",
	p11.CKR_MECHANISM_INVALID:          "the token lacks the mechanism; TLS needs CKM_RSA_PKCS_PSS with SHA-256, certificate requests CKM_RSA_PKCS: use a token that has both",
	p11.CKR_MECHANISM_PARAM_INVALID:    "the token lacks the mechanism with this hash: use a token that has CKM_RSA_PKCS_PSS with SHA-256",
	p11.CKR_ARGUMENTS_BAD:              "the token lacks the mechanism with this hash",
	p11.CKR_KEY_FUNCTION_NOT_PERMITTED: "the key is not for this: signing needs CKA_SIGN, a sealed file CKA_DECRYPT",
	p11.CKR_KEY_TYPE_INCONSISTENT:      "the key is not an RSA key",
	p11.CKR_TOKEN_WRITE_PROTECTED:      "the token is write protected, so no key can be made on it",
	p11.CKR_ENCRYPTED_DATA_INVALID:     "it was not encrypted for this key: seal the file again with the key's public key",
	p11.CKR_ENCRYPTED_DATA_LEN_RANGE:   "it was not encrypted for this key: seal the file again with the key's public key",
}

// explainToken makes an error of this package of one of the library's.
func explainToken(err error) error {
	if err == nil || errors.Is(err, ErrRefused) || errors.Is(err, ErrUnavailable) || isNoKey(err) {
		return err
	}
	if errors.Is(err, apiv1.NotFoundError{}) {
		return fmt.Errorf("%w: the token has no key pair with the id and label of the key URI (the public key must be on the token too)", ErrNoKey)
	}
	var code p11.Error
	if errors.As(err, &code) {
		if why, ok := unfit[code]; ok {
			return fmt.Errorf("%w: %s", ErrRefused, why)
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, code)
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, cause(err))
}
