package scep

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"
	"github.com/smallstep/scep/x509util"

	"github.com/kubemdm/kubemdm/internal/ber"
	"github.com/kubemdm/kubemdm/internal/cms"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// Sizes of RSA keys, in bits. Larger ones would let a stranger choose how long we compute.
const (
	minKey = 2048
	maxKey = 8192
)

var (
	errOneSigner   = errors.New("the message does not have exactly one signer and certificate")
	errKeyTooLarge = fmt.Errorf("the key has more than %d bits", maxKey)
	errKey         = fmt.Errorf("the key is not an RSA key of at least %d bits", minKey)
	errMessageType = errors.New("only PKCSReq is answered")
	errRecipient   = errors.New("the request is encrypted to none of our certificates")
	errCSR         = errors.New("the certificate request does not decrypt, parse or verify")
	errOtherKey    = errors.New("the message is signed with another key than the certificate request")
)

// request is a SCEP message whose signature holds (RFC 8894, section 3.1). Whose signature it is says nothing: it is self-signed.
type request struct {
	msg      *scep.PKIMessage
	signer   *x509.Certificate
	envelope *cms.Envelope
}

// csr is an opened certificate request that is fit for a certificate.
type csr struct {
	*x509.CertificateRequest
	publicKey *rsa.PublicKey
	challenge string
}

func parse(data []byte) (*request, error) {
	der, err := ber.Normalize(data)
	if err != nil {
		return nil, err
	}
	p7, err := pkcs7.Parse(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the message: %w", err)
	}
	signer := p7.GetOnlySigner()
	if signer == nil || len(p7.Certificates) != 1 {
		return nil, errOneSigner
	}
	if tooLarge(signer.PublicKey) {
		return nil, errKeyTooLarge
	}
	msg, err := scep.ParsePKIMessage(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the message: %w", err)
	}
	envelope, err := cms.Parse(p7.Content)
	if err != nil {
		return nil, err
	}
	return &request{msg: msg, signer: signer, envelope: envelope}, nil
}

// open decrypts and checks the certificate request with the key that sealed is for. An error is a refusal.
func (r *request) open(key identity.Key, sealed []byte) (*csr, error) {
	if r.msg.MessageType != scep.PKCSReq {
		return nil, &refusal{scep.BadRequest, errMessageType}
	}
	if sealed == nil {
		return nil, &refusal{scep.BadCertID, errRecipient}
	}
	// One answer to every fault below, so that it does not tell where the decryption failed.
	unreadable := &refusal{scep.BadMessageCheck, errCSR}
	plain, err := r.envelope.Open(key, sealed)
	if err != nil {
		return nil, unreadable
	}
	parsed, err := x509.ParseCertificateRequest(plain)
	if err != nil || tooLarge(parsed.PublicKey) || parsed.CheckSignature() != nil {
		return nil, unreadable
	}
	challenge, err := x509util.ParseChallengePassword(plain)
	if err != nil {
		return nil, unreadable
	}
	public, ok := parsed.PublicKey.(*rsa.PublicKey)
	if !ok || public.N.BitLen() < minKey {
		return nil, &refusal{scep.BadAlg, errKey}
	}
	if !public.Equal(r.signer.PublicKey) {
		return nil, &refusal{scep.BadMessageCheck, errOtherKey}
	}
	r.msg.CSRReqMessage = &scep.CSRReqMessage{RawDecrypted: plain, CSR: parsed, ChallengePassword: challenge}
	return &csr{CertificateRequest: parsed, publicKey: public, challenge: challenge}, nil
}

func (r *request) succeed(ca identity.CA, cert *x509.Certificate) ([]byte, error) {
	reply, err := r.msg.Success(ca.Cert, ca.Key, cert)
	if err != nil {
		return nil, fmt.Errorf("making the CertRep: %w", err)
	}
	return reply.Raw, nil
}

func (r *request) fail(ca identity.CA, info scep.FailInfo) ([]byte, error) {
	reply, err := r.msg.Fail(ca.Cert, ca.Key, info)
	if err != nil {
		return nil, fmt.Errorf("making the CertRep: %w", err)
	}
	return reply.Raw, nil
}

func tooLarge(key any) bool {
	public, ok := key.(*rsa.PublicKey)
	return ok && public.N.BitLen() > maxKey
}
