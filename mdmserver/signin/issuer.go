package signin

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// issuerTimeout bounds each request to the issuer: a person waits.
const issuerTimeout = 10 * time.Second

var errIssuerCA = errors.New("the issuer's CA file holds no PEM certificate")

// issuer is the OpenID Connect issuer. It is asked who it is at the first sign-in, not at start: it may be away then, and devices come all the same.
type issuer struct {
	config serverconfig.SignIn

	mu    sync.Mutex
	known *knownIssuer
}

// knownIssuer is what the issuer said, and what it was reached with.
type knownIssuer struct {
	*oidc.Provider
	client *http.Client
	ca     []byte
}

// get returns the issuer as it was found with the CA file of now.
func (i *issuer) get(ctx context.Context) (*knownIssuer, error) {
	ca, err := os.ReadFile(filepath.Join(i.config.Dir, serverconfig.CAFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the issuer's CA: %w", err)
	}
	if known := i.last(); known != nil && bytes.Equal(known.ca, ca) {
		return known, nil
	}
	known := &knownIssuer{ca: ca}
	if known.client, err = issuerClient(ca); err != nil {
		return nil, err
	}
	if known.Provider, err = oidc.NewProvider(oidc.ClientContext(ctx, known.client), i.config.IssuerURL); err != nil {
		return nil, fmt.Errorf("asking the issuer for its configuration: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known = known
	return known, nil
}

func (i *issuer) last() *knownIssuer {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.known
}

// issuerClient trusts the CA alone, or the system's roots without one.
func issuerClient(ca []byte) (*http.Client, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	if len(ca) > 0 {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(ca) {
			return nil, errIssuerCA
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Timeout: issuerTimeout, Transport: transport}, nil
}
