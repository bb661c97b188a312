package mdmcert

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"
)

// timeout bounds one call of the service.
const timeout = 30 * time.Second

// NewHTTPClient returns a client for one call. roots verify the service's certificate; nil means the system's.
func NewHTTPClient(roots *x509.CertPool) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
	}}
}
