package machineinfo

import (
	"bytes"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"slices"
	"strings"
)

// deviceCA is the authority that gives devices the certificates with which they sign machine info (SHA-256 76f27d00...c66cce). Apple prints it in "Over-the-Air
// Profile Delivery and Configuration". It is the anchor, and not Apple's root: developers have certificates below that too.
//
//go:embed AppleiPhoneDeviceCA.pem
var deviceCA []byte

var apple = []*x509.Certificate{mustParse(deviceCA)}

func mustParse(text []byte) *x509.Certificate {
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic(err) // it is part of the program
	}
	return cert
}

const (
	// maxCertificates bounds those in a message; a device sends its own and up to three above.
	maxCertificates = 8
	// maxIntermediates bounds those between a device and an anchor.
	maxIntermediates = 3
)

// deviceAuthority is in the name of every authority of Apple's that gives certificates to devices, and to nobody else.
const deviceAuthority = "Device CA"

// chain is what an issuer is looked for in.
type chain struct {
	anchors, sent []*x509.Certificate
}

// device says whether an anchor, or an authority for devices below one, issued the certificate. Dates do not count: "When device certificates signed 'Apple
// iPhone Device CA' are evaluated their validity dates should be ignored" (Apple, ibid.); that authority's own certificate ended in 2014. Certificates
// are signed with SHA-1, which the standard library's way of verifying refuses.
func (c chain) device(cert *x509.Certificate) bool {
	if cert.IsCA {
		return false
	}
	if c.anchored(cert) {
		return true
	}
	return slices.ContainsFunc(c.sent, func(ca *x509.Certificate) bool {
		return strings.Contains(ca.Subject.CommonName, deviceAuthority) && c.issued(ca, cert, maxIntermediates)
	})
}

func (c chain) anchored(cert *x509.Certificate) bool {
	return slices.ContainsFunc(c.anchors, func(anchor *x509.Certificate) bool { return signs(anchor, cert) })
}

// issued says whether ca issued the certificate and is below an anchor by at most so many steps. A key is computed with only once it is known whose it is.
func (c chain) issued(ca, cert *x509.Certificate, steps int) bool {
	if steps == 0 || !ca.IsCA || ca.KeyUsage != 0 && ca.KeyUsage&x509.KeyUsageCertSign == 0 || !bytes.Equal(ca.RawSubject, cert.RawIssuer) {
		return false
	}
	below := c.anchored(ca) || slices.ContainsFunc(c.sent, func(above *x509.Certificate) bool { return c.issued(above, ca, steps-1) })
	return below && signs(ca, cert)
}

// signs says whether the key of ca signed the certificate.
func signs(ca, cert *x509.Certificate) bool {
	return bytes.Equal(ca.RawSubject, cert.RawIssuer) && ca.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}
