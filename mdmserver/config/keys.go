package config

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
)

// sealingKeySize is that of an AES-256 key, in bytes.
const sealingKeySize = 32

// parseSealing refuses content in which a key that is in use is gone or different: without it stored values could not be read after the
// next start.
func parseSealing(f files, live *seal.Keyring) (*seal.Keyring, error) {
	primary, err := f.need(serverconfig.PrimaryFile)
	if err != nil {
		return nil, err
	}
	s := &seal.Keyring{Primary: strings.TrimSpace(string(primary)), Keys: map[string][]byte{}}
	for id, key := range f {
		if id == serverconfig.PrimaryFile || id == serverconfig.KeyPINFile {
			continue
		}
		if len(key) != sealingKeySize {
			return nil, fmt.Errorf("the key %s has %d bytes, it needs %d", id, len(key), sealingKeySize)
		}
		s.Keys[id] = key
	}
	if s.Keys[s.Primary] == nil {
		return nil, fmt.Errorf("%s names the key %q, which is not there: restore it from a backup", serverconfig.PrimaryFile, s.Primary)
	}
	if live == nil {
		return s, nil
	}
	for id, key := range live.Keys {
		if !bytes.Equal(key, s.Keys[id]) {
			return nil, fmt.Errorf("the key %s, which is in use, is gone or changed: restore it before this server restarts, or what it sealed is lost", id)
		}
	}
	return s, nil
}

// parseIdentity reads the generations that RolesFile names, in order. Exactly one of them is active.
func parseIdentity(f files) (*[]identity.CA, error) {
	b, err := f.need(serverconfig.RolesFile)
	if err != nil {
		return nil, err
	}
	var roles map[string]serverconfig.Role
	if err := json.Unmarshal(b, &roles); err != nil {
		return nil, fmt.Errorf("%s must map generations to roles, as {\"1\": \"Active\"}: %w", serverconfig.RolesFile, err)
	}
	cas := make([]identity.CA, 0, len(roles))
	active := 0
	for name, role := range roles {
		ca, err := parseGeneration(f, name, role)
		if err != nil {
			return nil, fmt.Errorf("generation %s: %w", name, err)
		}
		if role == serverconfig.RoleActive {
			active++
		}
		cas = append(cas, ca)
	}
	if active != 1 {
		return nil, fmt.Errorf("%s names %d active generations, it needs exactly one", serverconfig.RolesFile, active)
	}
	slices.SortFunc(cas, func(a, b identity.CA) int { return a.Generation - b.Generation })
	return &cas, nil
}

func parseGeneration(f files, name string, role serverconfig.Role) (identity.CA, error) {
	n, err := strconv.Atoi(name)
	if err != nil || n < 1 {
		return identity.CA{}, errors.New("its name is not a number from 1 up")
	}
	if !slices.Contains([]serverconfig.Role{serverconfig.RoleNext, serverconfig.RoleActive, serverconfig.RoleRetired}, role) {
		return identity.CA{}, fmt.Errorf("its role %q is unknown", role)
	}
	certPEM, certErr := f.need(name + ".crt")
	keyPEM, keyErr := f.need(name + ".key")
	if err := errors.Join(certErr, keyErr); err != nil {
		return identity.CA{}, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return identity.CA{}, fmt.Errorf("%s.crt and %s.key are no pair: %w", name, name, err)
	}
	if !pair.Leaf.IsCA {
		return identity.CA{}, fmt.Errorf("%s.crt is not a CA certificate", name)
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return identity.CA{}, fmt.Errorf("%s.key is not an RSA key, which devices need", name)
	}
	return identity.CA{Generation: n, Role: role, Cert: pair.Leaf, Key: key}, nil
}

// signInClient is what the server shows an OpenID Connect issuer.
type signInClient struct {
	secret string
}

func parseSignIn(f files, _ *signInClient) (*signInClient, error) {
	secret, err := f.need(serverconfig.ClientSecretFile)
	if err != nil {
		return nil, err
	}
	return &signInClient{secret: strings.TrimSpace(string(secret))}, nil
}
