package scep

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// capabilities are those that the service has, and no other (RFC 8894, section 3.5.2).
const capabilities = "AES\nPOSTPKIOperation\nSCEPStandard\nSHA-256"

// Replies are made by a library that knows only one algorithm per process, and whose defaults are DES and SHA-1.
func init() {
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES128CBC
	if err := pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256); err != nil {
		panic(err)
	}
}

// Challenges redeems one-time challenges. It is fleet's, see there for its errors.
type Challenges interface {
	RedeemChallenge(ctx context.Context, secret, publicKeySHA256 string, issue func(fleet.Grant) ([]byte, error)) ([]byte, error)
}

// Options is what the service works with.
type Options struct {
	Challenges Challenges
	// CAs returns the loaded generations. The active one issues; every one opens requests that were encrypted to it.
	CAs func() []identity.CA
	// Validity of a certificate; it never outlives its issuer.
	Validity time.Duration
	Now      func() time.Time
	Log      *slog.Logger
}

var errUnsupported = errors.New("the operation is not supported")

// refusal is answered with a CertRep of status FAILURE: the device gives up at once instead of asking again.
type refusal struct {
	info scep.FailInfo
	why  error
}

func (r *refusal) Error() string { return r.why.Error() }
func (r *refusal) Unwrap() error { return r.why }

// service implements scepserver.Service.
type service struct{ Options }

func (s service) GetCACaps(context.Context) ([]byte, error) { return []byte(capabilities), nil }

// GetCACert returns the certificate that requests are encrypted to and replies are signed with.
func (s service) GetCACert(context.Context, string) ([]byte, int, error) {
	ca, err := identity.Active(s.CAs())
	if err != nil {
		return nil, 0, err
	}
	return ca.Cert.Raw, 1, nil
}

func (s service) GetNextCACert(context.Context) ([]byte, error) {
	return nil, malformed(errUnsupported)
}

// PKIOperation answers a PKCSReq with a CertRep. The reply is signed by the generation that the request was encrypted to, which the
// device knows from its GetCACert, even when another one has become active meanwhile.
func (s service) PKIOperation(ctx context.Context, data []byte) ([]byte, error) {
	req, err := parse(data)
	if err != nil {
		return nil, malformed(err)
	}
	ca, sealed, err := s.recipient(req)
	if err != nil {
		return nil, err
	}
	cert, err := s.issue(ctx, req, ca.Key, sealed)
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		s.Log.Info("refused a certificate request", "err", refused.why)
		return req.fail(ca, refused.info)
	}
	if err != nil {
		return nil, fmt.Errorf("issuing a device identity: %w", err)
	}
	return req.succeed(ca, cert)
}

// recipient returns the generation that the request was encrypted to and the content key sealed to it. For an unknown recipient the key
// is nil, and the active generation answers.
func (s service) recipient(req *request) (identity.CA, []byte, error) {
	for _, ca := range s.CAs() {
		if sealed, ok := req.envelope.SealedTo(ca.Cert); ok {
			return ca, sealed, nil
		}
	}
	ca, err := identity.Active(s.CAs())
	return ca, nil, err
}

func (s service) issue(ctx context.Context, req *request, key identity.Key, sealed []byte) (*x509.Certificate, error) {
	csr, err := req.open(key, sealed)
	if err != nil {
		return nil, err
	}
	keySum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	der, err := s.Challenges.RedeemChallenge(ctx, csr.challenge, hex.EncodeToString(keySum[:]), func(g fleet.Grant) ([]byte, error) {
		return s.certificate(csr.publicKey, g)
	})
	if errors.Is(err, fleet.ErrChallenge) || errors.Is(err, fleet.ErrTokenUnusable) {
		return nil, &refusal{info: scep.BadRequest, why: err}
	}
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (s service) certificate(key *rsa.PublicKey, g fleet.Grant) ([]byte, error) {
	ca, err := identity.Active(s.CAs())
	if err != nil {
		return nil, err
	}
	return ca.Issue(key, g.EnrollmentID, s.Now(), s.Validity)
}
