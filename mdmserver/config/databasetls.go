package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// The modes of sslmode, as PostgreSQL's own clients know them. There is one more default: verifyFull.
const (
	disable    = "disable"
	allow      = "allow"
	prefer     = "prefer"
	require    = "require"
	verifyCA   = "verify-ca"
	verifyFull = "verify-full"
)

// attempts are the ways to connect to a host, in order: with TLS, or in clear where it is nil.
type attempts []*tls.Config

// on returns the ways to one address. A socket has no TLS.
func (w attempts) on(at hostPort) []*pgconn.FallbackConfig {
	if strings.HasPrefix(at.host, "/") {
		return []*pgconn.FallbackConfig{{Host: at.host, Port: at.port}}
	}
	ways := make([]*pgconn.FallbackConfig, len(w))
	for i, way := range w {
		if way != nil {
			way = way.Clone()
			way.ServerName = at.host
		}
		ways[i] = &pgconn.FallbackConfig{Host: at.host, Port: at.port, TLSConfig: way}
	}
	return ways
}

// tls makes the ways of the mode.
func (a *access) tls(f files, now time.Time) (attempts, error) {
	if !slices.Contains([]string{"disable", "prefer", "require"}, a.channelBinding) {
		return nil, errors.New("channel_binding is neither disable, prefer nor require")
	}
	cfg, err := databaseTLS(f, now)
	if err != nil {
		return nil, err
	}
	_, hasCA := f[serverconfig.CAFile]
	switch a.mode {
	case disable:
		return attempts{nil}, nil
	case allow:
		return attempts{nil, unverified(cfg)}, nil
	case prefer:
		return attempts{unverified(cfg), nil}, nil
	case require:
		if !hasCA {
			return attempts{unverified(cfg)}, nil
		}
		return attempts{anyName(cfg)}, nil // as PostgreSQL's own clients do where there is a CA
	case verifyCA:
		return attempts{anyName(cfg)}, nil
	case verifyFull, "":
		return attempts{cfg}, nil
	}
	return nil, fmt.Errorf("sslmode is none of %s, %s, %s, %s, %s and %s", disable, allow, prefer, require, verifyCA, verifyFull)
}

// databaseTLS verifies everything, with the CA file or the system's authorities.
func databaseTLS(f files, now time.Time) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca, ok := f[serverconfig.CAFile]; ok {
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%s holds no PEM certificate: it must be the CA of the database's certificate", serverconfig.CAFile)
		}
	}
	if f[serverconfig.CertFile] == nil && f[serverconfig.KeyFile] == nil {
		return cfg, nil
	}
	pair, err := parsePair(f, now)
	if err != nil {
		return nil, err
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, nil
}

// unverified encrypts, and believes whoever answers.
func unverified(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.InsecureSkipVerify = true //nolint:gosec // the administrator asked for it by sslmode
	return cfg
}

// anyName verifies the chain and not the name.
func anyName(cfg *tls.Config) *tls.Config {
	cfg = unverified(cfg)
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		opts := x509.VerifyOptions{Roots: cfg.RootCAs, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(opts)
		return err
	}
	return cfg
}
