package config

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/keys/envelope"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// kmsTimeout bounds the waiting for a KMS in one reload of a folder.
const kmsTimeout = 15 * time.Second

// pin returns the PIN of a PKCS#11 token that the folder has, else the one given.
func (f files) pin(otherwise string) string {
	if b, ok := f[serverconfig.KeyPINFile]; ok {
		return strings.TrimSpace(string(b))
	}
	return otherwise
}

// parseKMSPair reads a certificate whose key is in a KMS. It asks the KMS last, and for a signature as a TLS handshake needs it: a key that may be
// read and not used would be found out by the first push only.
func parseKMSPair(f files, now time.Time, pin string) (tls.Certificate, error) {
	if _, both := f[serverconfig.KeyFile]; both {
		return tls.Certificate{}, fmt.Errorf("there are both %s and %s: remove the one that is not the key of %s", serverconfig.KeyFile, serverconfig.KeyURIFile, serverconfig.CertFile)
	}
	certPEM, err := f.need(serverconfig.CertFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := readChain(certPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := checkDates(pair.Leaf, now); err != nil {
		return tls.Certificate{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), kmsTimeout)
	defer cancel()
	key, err := keys.Open(ctx, strings.TrimSpace(string(f[serverconfig.KeyURIFile])), keys.Options{PIN: pin})
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the key of %s: %w", serverconfig.KeyURIFile, err)
	}
	if !key.Public().(*rsa.PublicKey).Equal(pair.Leaf.PublicKey) {
		return tls.Certificate{}, fmt.Errorf("%s was not issued for the key of %s: put the certificate of this key, or the URI of the certificate's key", serverconfig.CertFile, serverconfig.KeyURIFile)
	}
	digest := sha256.Sum256(certPEM)
	if _, err := key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}); err != nil {
		return tls.Certificate{}, fmt.Errorf("the key of %s does not sign: %w", serverconfig.KeyURIFile, err)
	}
	pair.PrivateKey = key
	return pair, nil
}

// readChain reads a certificate and those after it, without a key.
func readChain(certPEM []byte) (tls.Certificate, error) {
	var pair tls.Certificate
	for block, rest := pem.Decode(certPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			pair.Certificate = append(pair.Certificate, block.Bytes)
		}
	}
	if len(pair.Certificate) == 0 {
		return tls.Certificate{}, fmt.Errorf("%s holds no PEM certificate", serverconfig.CertFile)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s cannot be read: %w", serverconfig.CertFile, err)
	}
	pair.Leaf = leaf
	return pair, nil
}

// opened is the content of a folder whose sealed files were opened. The KMS is asked once for each content, also for one that is refused later.
type opened struct {
	of      [sha256.Size]byte
	content files
}

// open replaces each sealed file by what is in it. hash is that of content.
func (o *opened) open(content files, hash [sha256.Size]byte, pin string) (files, error) {
	if o.content != nil && o.of == hash {
		return o.content, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), kmsTimeout)
	defer cancel()
	plain := files{}
	for file, b := range content {
		name, sealed := strings.CutSuffix(file, serverconfig.SealedSuffix)
		if !sealed {
			plain[name] = b
			continue
		}
		if _, both := content[name]; both {
			return nil, fmt.Errorf("there are both %s and %s: remove the one that is not to be used", name, file)
		}
		var err error
		if plain[name], err = envelope.Open(ctx, bytes.TrimSpace(b), keys.Options{PIN: pin}); err != nil {
			return nil, fmt.Errorf("opening %s: %w", file, err)
		}
	}
	o.of, o.content = hash, plain
	return plain, nil
}
