package keys

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"github.com/kubemdm/kubemdm/internal/keys/keyuri"
)

// callTimeout bounds whatever is asked of a KMS.
const callTimeout = 15 * time.Second

// minBits is the smallest RSA key that is used, and the size of those that are made: what Apple issues push certificates for.
const minBits = 2048

// What can be wrong. Errors of this package wrap one of these, or are those of keyuri.Check; their text says what to do, stays the same as long
// as the trouble does, and holds no PIN.
var (
	// ErrUnsupported: this program was built without PKCS#11.
	ErrUnsupported = errors.New("this program is built without PKCS#11")
	// ErrNoKey: the KMS answers, and has no such key.
	ErrNoKey = errors.New("the KMS has no such key")
	// ErrRefused: the KMS answers, and refuses the caller or the use of the key, or the key is of the wrong kind. It stays so until somebody acts.
	ErrRefused = errors.New("the KMS refuses it")
	// ErrUnavailable: the KMS does not answer as it should. It may do so again by itself.
	ErrUnavailable = errors.New("the KMS is not available")
)

// Options of a key.
type Options struct {
	// PIN of the user of a PKCS#11 token.
	PIN string
}

// Open returns the key that a URI names (see keyuri.Check); its public key is an *rsa.PublicKey of at least 2048 bits. The signer makes PKCS #1 v1.5
// and PSS signatures with SHA-256, SHA-384 and SHA-512, which is what certificate requests and TLS need. It is safe for concurrent use, outlives an
// outage of the KMS, and each signature takes 15 s at most.
func Open(ctx context.Context, uri string, o Options) (crypto.Signer, error) {
	key, err := keyuri.Parse(uri)
	if err != nil {
		return nil, err
	}
	if key.Backend == keyuri.AWSKMS {
		return openAWS(ctx, key)
	}
	return openToken(ctx, key, o.PIN)
}

// Ensure is Open, and makes the key first if the token has none (PKCS#11): RSA of 2048 bits by the token's own generator, not extractable, for
// signatures only. The URI must then have object and id. A key in AWS must exist.
func Ensure(ctx context.Context, uri string, o Options) (key crypto.Signer, made bool, err error) {
	parsed, err := keyuri.Parse(uri)
	if err != nil {
		return nil, false, err
	}
	if parsed.Backend == keyuri.AWSKMS {
		key, err = openAWS(ctx, parsed)
		return key, false, err
	}
	return ensureToken(ctx, parsed, o.PIN)
}

// OpenDecrypter is Open for a key that decrypts. It takes *rsa.OAEPOptions without a label, with SHA-256 (AWS) or SHA-1 (every token). In AWS a key
// is either for signatures or for decryption; on a token it needs CKA_DECRYPT, which the keys of Ensure lack:
//
//	pkcs11-tool --module MODULE --login --token-label TOKEN --keypairgen --key-type rsa:2048 --usage-decrypt --label sealing --id 02
func OpenDecrypter(ctx context.Context, uri string, o Options) (crypto.Decrypter, error) {
	key, err := keyuri.Parse(uri)
	if err != nil {
		return nil, err
	}
	if key.Backend == keyuri.AWSKMS {
		return openAWSDecrypter(ctx, key)
	}
	return openTokenDecrypter(ctx, key, o.PIN)
}

// Close logs out of every token. Keys that were opened open their token again when they are used.
func Close() { closeTokens() }

// checkRSA says why a key cannot be used.
func checkRSA(public crypto.PublicKey) error {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("%w: the key is not an RSA key, and Apple takes no other: name an RSA key of %d bits or more", ErrRefused, minBits)
	}
	if key.N.BitLen() < minBits {
		return fmt.Errorf("%w: the key has %d bits: name an RSA key of %d bits or more", ErrRefused, key.N.BitLen(), minBits)
	}
	return nil
}

// within waits for a call that heeds no context, no longer than ctx or callTimeout. A call that is given up goes on in the background.
func within[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answers := make(chan answer, 1)
	go func() {
		value, err := call()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: it did not answer in time", ErrUnavailable)
	}
}
