package identity

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ForwardedHeader carries the client certificate that a proxy verified (RFC 9440, section 2.2).
const ForwardedHeader = "Client-Cert"

// maxForwarded bounds the header's value in bytes.
const maxForwarded = 16 << 10

var (
	errProxy     = errors.New("a " + ForwardedHeader + " header from an address that is no trusted proxy")
	errForwarded = errors.New("the " + ForwardedHeader + " header is not one byte sequence")
)

// parseForwarded reads a certificate out of a structured field's byte sequence, which is base64 between colons (RFC 8941, section 3.3.5).
func parseForwarded(values []string) (*x509.Certificate, error) {
	if len(values) != 1 || len(values[0]) > maxForwarded {
		return nil, errForwarded
	}
	text, opened := strings.CutPrefix(strings.TrimSpace(values[0]), ":")
	text, closed := strings.CutSuffix(text, ":")
	if !opened || !closed {
		return nil, errForwarded
	}
	der, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, errForwarded
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing the forwarded certificate: %w", err)
	}
	return cert, nil
}

// parseProxies reads networks in CIDR notation.
func parseProxies(networks []string) ([]netip.Prefix, error) {
	proxies := make([]netip.Prefix, 0, len(networks))
	for _, n := range networks {
		prefix, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, fmt.Errorf("%q is no network in CIDR notation: %w", n, err)
		}
		proxies = append(proxies, prefix)
	}
	return proxies, nil
}
