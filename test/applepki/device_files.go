package applepki

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Files of a DeviceCA in a folder. They are named as in a Secret for TLS, so that one can hold them.
const (
	// DeviceRootFile is the root, which servers trust.
	DeviceRootFile = "ca.crt"
	// DeviceChainFile holds the authorities below the root, the issuer first.
	DeviceChainFile = "tls.crt"
	// DeviceKeyFile is the issuer's key in PKCS#8.
	DeviceKeyFile = "tls.key"
)

// Files are the contents of the three files, all in PEM, by their names.
func (ca *DeviceCA) Files() (map[string][]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("encoding the issuer's key: %w", err)
	}
	var chain []byte
	for _, cert := range ca.parents {
		chain = append(chain, encode(cert)...)
	}
	return map[string][]byte{
		DeviceRootFile: ca.RootPEM(), DeviceChainFile: chain, DeviceKeyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}, nil
}

// ReadDeviceCA reads what Files made from a folder. The clock is for what is issued.
func ReadDeviceCA(dir string, now func() time.Time) (*DeviceCA, error) {
	roots, err := readCertificates(filepath.Join(dir, DeviceRootFile))
	if err != nil {
		return nil, err
	}
	parents, err := readCertificates(filepath.Join(dir, DeviceChainFile))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, DeviceKeyFile))
	if err != nil {
		return nil, fmt.Errorf("reading the device CA's key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("reading the device CA's key: %s is not PEM", DeviceKeyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the device CA's key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(parents[0].PublicKey) {
		return nil, errors.New("the device CA's key is not that of its first certificate")
	}
	return &DeviceCA{now: now, root: roots[0], parents: parents, key: key}, nil
}

// readCertificates reads one or more certificates in PEM.
func readCertificates(file string) ([]*x509.Certificate, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the device CA: %w", err)
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading the device CA: %s: %w", filepath.Base(file), err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("reading the device CA: %s holds no certificate in PEM", filepath.Base(file))
	}
	return certs, nil
}
