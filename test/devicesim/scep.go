package devicesim

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"
	"github.com/smallstep/scep/x509util"

	"github.com/kubemdm/kubemdm/internal/ber"
)

// SCEP is a client for one SCEP payload (RFC 8894).
type SCEP struct {
	Payload SCEPPayload
	Client  *http.Client

	ca    *x509.Certificate
	certs []*x509.Certificate
	post  bool
}

// SCEPFailure is a server's FAILURE: a device does not ask again.
type SCEPFailure struct{ Info scep.FailInfo }

// Error names the failInfo.
func (f *SCEPFailure) Error() string { return "the SCEP server refused: failInfo " + string(f.Info) }

// errReply is a reply that is not what SCEP says; asking again would not better it.
var errReply = errors.New("bad SCEP reply")

// Discover asks for the server's capabilities and its CA certificate.
func (s *SCEP) Discover(ctx context.Context) error {
	caps, _, err := s.get(ctx, "GetCACaps")
	if err != nil {
		return err
	}
	offered := strings.Fields(string(caps))
	for _, needed := range []string{"AES", "SHA-256"} {
		if !slices.Contains(offered, needed) && !slices.Contains(offered, "SCEPStandard") {
			return fmt.Errorf("%w: the server does not offer %s", errReply, needed)
		}
	}
	s.post = slices.Contains(offered, "POSTPKIOperation") || slices.Contains(offered, "SCEPStandard")
	data, contentType, err := s.get(ctx, "GetCACert")
	if err != nil {
		return err
	}
	return s.readCA(data, contentType)
}

func (s *SCEP) readCA(data []byte, contentType string) (err error) {
	switch contentType {
	case "application/x-x509-ca-cert":
		s.certs, err = x509.ParseCertificates(data)
	case "application/x-x509-ca-ra-cert":
		s.certs, err = scep.CACerts(data)
	default:
		err = fmt.Errorf("content type %q", contentType)
	}
	if err != nil {
		return fmt.Errorf("%w: reading CA certificate: %w", errReply, err)
	}
	i := slices.IndexFunc(s.certs, func(c *x509.Certificate) bool { return c.IsCA })
	if i < 0 {
		return fmt.Errorf("%w: no CA certificate", errReply)
	}
	s.ca = s.certs[i]
	if want := s.Payload.CAFingerprint; len(want) > 0 && !hasFingerprint(s.ca, want) {
		return fmt.Errorf("%w: the CA is not the one of CAFingerprint", errReply)
	}
	return nil
}

// Request asks for a certificate with the payload's challenge and checks what it gets. The same key may be asked for again when the
// reply was lost. A refusal is a *SCEPFailure.
func (s *SCEP) Request(ctx context.Context, key *rsa.PrivateKey) (*x509.Certificate, error) {
	request, signer, err := s.newRequest(key)
	if err != nil {
		return nil, err
	}
	data, err := s.send(ctx, request.Raw)
	if err != nil {
		return nil, err
	}
	if data, err = ber.Normalize(data); err != nil {
		return nil, fmt.Errorf("%w: %w", errReply, err)
	}
	reply, err := scep.ParsePKIMessage(data, scep.WithCACerts(s.certs))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errReply, err)
	}
	if err := checkReply(request, reply); err != nil {
		return nil, err
	}
	if reply.PKIStatus == scep.FAILURE {
		return nil, &SCEPFailure{Info: reply.FailInfo}
	}
	if err := checkCiphers(data); err != nil {
		return nil, err
	}
	if err := reply.DecryptPKIEnvelope(signer.Certificate, key); err != nil {
		return nil, fmt.Errorf("%w: %w", errReply, err)
	}
	return reply.Certificate, s.checkIssued(reply.Certificate, key)
}

func (s *SCEP) newRequest(key *rsa.PrivateKey) (*scep.PKIMessage, *Identity, error) {
	template := &x509util.CertificateRequest{ChallengePassword: s.Payload.Challenge}
	template.Subject = s.Payload.subject()
	template.SignatureAlgorithm = x509.SHA256WithRSA
	der, err := x509util.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, nil, fmt.Errorf("making certificate request: %w", err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, nil, fmt.Errorf("making certificate request: %w", err)
	}
	signer, err := SelfSigned(key, template.Subject)
	if err != nil {
		return nil, nil, err
	}
	message, err := scep.NewCSRRequest(csr, &scep.PKIMessage{
		MessageType: scep.PKCSReq,
		Recipients:  []*x509.Certificate{s.ca},
		SignerCert:  signer.Certificate,
		SignerKey:   key,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("making SCEP message: %w", err)
	}
	return message, signer, nil
}

func checkReply(request, reply *scep.PKIMessage) error {
	switch {
	case reply.MessageType != scep.CertRep || reply.CertRepMessage == nil:
		return fmt.Errorf("%w: not a CertRep", errReply)
	case reply.TransactionID != request.TransactionID:
		return fmt.Errorf("%w: another transaction", errReply)
	case !bytes.Equal(reply.RecipientNonce, request.SenderNonce):
		return fmt.Errorf("%w: another nonce", errReply)
	case reply.PKIStatus == scep.PENDING:
		return fmt.Errorf("%w: pending, which nobody would ever approve", errReply)
	}
	return nil
}

// checkIssued checks that the certificate is for this key, from this CA and valid now.
func (s *SCEP) checkIssued(certificate *x509.Certificate, key *rsa.PrivateKey) error {
	if !key.PublicKey.Equal(certificate.PublicKey) {
		return fmt.Errorf("%w: the certificate is for another key", errReply)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.ca)
	_, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return fmt.Errorf("%w: the certificate is not usable: %w", errReply, err)
	}
	return nil
}

// obtain discovers the server and asks it for a certificate, again after each lost reply, as the payload says.
// nextKey gives the key of each try.
func (s *SCEP) obtain(ctx context.Context, nextKey func(try int) (*rsa.PrivateKey, error), wait func(context.Context, time.Duration) error) (*Identity, error) {
	for try := 0; ; try++ {
		key, err := nextKey(try)
		if err != nil {
			return nil, fmt.Errorf("making key: %w", err)
		}
		certificate, err := s.try(ctx, key)
		if err == nil {
			return &Identity{Certificate: certificate, Key: key}, nil
		}
		var refused *SCEPFailure
		if errors.As(err, &refused) || errors.Is(err, errReply) || try >= s.Payload.Retries {
			return nil, fmt.Errorf("getting a certificate: %w", err)
		}
		if err := wait(ctx, s.Payload.retryDelay()); err != nil {
			return nil, err
		}
	}
}

func (s *SCEP) try(ctx context.Context, key *rsa.PrivateKey) (*x509.Certificate, error) {
	if s.ca == nil {
		if err := s.Discover(ctx); err != nil {
			return nil, err
		}
	}
	return s.Request(ctx, key)
}

// hasFingerprint compares with each digest that Apple documents for CAFingerprint.
func hasFingerprint(certificate *x509.Certificate, want []byte) bool {
	sum256, sum1, sum5 := sha256.Sum256(certificate.Raw), sha1.Sum(certificate.Raw), md5.Sum(certificate.Raw)
	for _, sum := range [][]byte{sum256[:], sum1[:], sum5[:]} {
		if subtle.ConstantTimeCompare(sum, want) == 1 {
			return true
		}
	}
	return false
}

// checkCiphers refuses a reply that is signed with less than SHA-256 or encrypted with anything but AES.
func checkCiphers(reply []byte) error {
	signed, err := pkcs7.Parse(reply)
	if err != nil || len(signed.Signers) != 1 {
		return fmt.Errorf("%w: no single signer", errReply)
	}
	if digest := signed.Signers[0].DigestAlgorithm.Algorithm; !digest.Equal(pkcs7.OIDDigestAlgorithmSHA256) {
		return fmt.Errorf("%w: signed with digest %v, not SHA-256", errReply, digest)
	}
	cipher, err := envelopeCipher(signed.Content)
	if err != nil {
		return fmt.Errorf("%w: reading envelope: %w", errReply, err)
	}
	if !cipher.Equal(pkcs7.OIDEncryptionAlgorithmAES128CBC) && !cipher.Equal(pkcs7.OIDEncryptionAlgorithmAES256CBC) {
		return fmt.Errorf("%w: encrypted with %v, not AES", errReply, cipher)
	}
	return nil
}
