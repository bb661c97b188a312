package applepki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"sync"

	"github.com/google/uuid"
)

// days is how long a push certificate is valid.
const days = 365

var (
	oidUID        = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidCountry    = asn1.ObjectIdentifier{2, 5, 4, 6}
	// oidProduction marks a client certificate for the production push service.
	oidProduction = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 3, 2}
)

// Portal issues push certificates for what a person uploads. It is safe for concurrent use.
type Portal struct {
	apple *Apple

	mu     sync.Mutex
	topics map[string]bool
}

// Create is the button "Create a Certificate": it issues a certificate for a new topic. The answer is PEM with CRLF, as it is downloaded. The
// error says which part of the upload is refused, and why.
func (p *Portal) Create(upload []byte) ([]byte, error) {
	topic := "com.apple.mgmt.External." + uuid.NewString()
	cert, err := p.issue(topic, upload)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.topics[topic] = true
	return cert, nil
}

// Renew is the button "Renew" beside a certificate: the new one keeps the topic. A topic that this portal did not issue is refused.
func (p *Portal) Renew(topic string, upload []byte) ([]byte, error) {
	p.mu.Lock()
	known := p.topics[topic]
	p.mu.Unlock()
	if !known {
		return nil, fmt.Errorf("this Apple Account has no certificate with the topic %q", topic)
	}
	return p.issue(topic, upload)
}

func (p *Portal) issue(topic string, upload []byte) ([]byte, error) {
	csr, err := p.apple.checkUpload(upload)
	if err != nil {
		return nil, fmt.Errorf("the request is refused: %w", err)
	}
	subject, err := pushSubject(topic)
	if err != nil {
		return nil, err
	}
	now := p.apple.now()
	cert, err := p.apple.integration.issue(&x509.Certificate{
		RawSubject: subject, NotBefore: now, NotAfter: now.AddDate(0, 0, days),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		ExtraExtensions:       []pkix.Extension{{Id: oidProduction, Value: asn1.NullBytes}},
	}, csr.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("issuing the push certificate: %w", err)
	}
	return bytes.ReplaceAll(encode(cert), []byte("\n"), []byte("\r\n")), nil
}

// pushSubject is the name in a push certificate; nothing of the CSR's goes into it.
func pushSubject(topic string) ([]byte, error) {
	return asn1.Marshal(pkix.RDNSequence{
		{{Type: oidUID, Value: topic}},
		{{Type: oidCommonName, Value: "APSP:" + uuid.NewString()}},
		{{Type: oidCountry, Value: "US"}},
	})
}
