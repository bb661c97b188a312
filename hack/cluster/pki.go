package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The certificate authorities. Each is trusted for one thing only: a client of the cluster is none of etcd.
const (
	clusterCA    = "ca"
	etcdCA       = "etcd-ca"
	frontProxyCA = "front-proxy-ca"
)

// leaf is a certificate for both ends of a connection.
type leaf struct {
	name   string // of its files
	ca     string
	user   string
	groups []string
	hosts  []string // DNS names and IP addresses
}

const admins = "system:masters"

var leaves = []leaf{
	{name: "etcd", ca: etcdCA, user: "etcd", hosts: []string{"127.0.0.1"}},
	{name: "apiserver-etcd-client", ca: etcdCA, user: "kube-apiserver"},
	{name: "front-proxy-client", ca: frontProxyCA, user: "front-proxy-client"},
	{name: "apiserver", ca: clusterCA, user: "kube-apiserver", hosts: []string{
		"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"127.0.0.1", serviceAddress, nodeAddress,
	}},
	{name: "apiserver-kubelet-client", ca: clusterCA, user: "kube-apiserver-kubelet-client", groups: []string{admins}},
	{name: "admin", ca: clusterCA, user: "kubemdm-admin", groups: []string{admins}},
	{name: "certmanager", ca: clusterCA, user: "cert-manager", groups: []string{admins}},
	{name: "kube-controller-manager", ca: clusterCA, user: "system:kube-controller-manager"},
	{name: "kube-scheduler", ca: clusterCA, user: "system:kube-scheduler"},
	{name: "kube-proxy", ca: clusterCA, user: "system:kube-proxy"},
	{name: "node", ca: clusterCA, user: "system:node:" + nodeName, groups: []string{"system:nodes"}, hosts: []string{nodeName, nodeAddress}},
	// Its key signs service-account tokens; the certificate is how the apiserver reads the public key.
	{name: "service-account", ca: clusterCA, user: "service-account"},
}

const certificateLifetime = 10 * 365 * 24 * time.Hour

// ensurePKI makes all keys and certificates in dir (name.crt, name.key) unless they are there. The folder appears only
// when it is complete.
func ensurePKI(dir string, now time.Time) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".pki-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := createPKI(work, now); err != nil {
		return fmt.Errorf("creating the cluster's certificates: %w", err)
	}
	return os.Rename(work, dir)
}

func createPKI(dir string, now time.Time) error {
	authorities := map[string]*authority{}
	for _, name := range []string{clusterCA, etcdCA, frontProxyCA} {
		ca, err := newAuthority(dir, name, now)
		if err != nil {
			return err
		}
		authorities[name] = ca
	}
	for _, l := range leaves {
		if err := authorities[l.ca].issue(dir, l, now); err != nil {
			return err
		}
	}
	return nil
}

type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func newAuthority(dir, name string, now time.Time) (*authority, error) {
	template, err := newTemplate(pkix.Name{CommonName: "kubemdm-" + name}, now)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	key, err := newKey(dir, name)
	if err != nil {
		return nil, err
	}
	certificate, err := sign(dir, name, template, key.Public(), &authority{certificate: template, key: key})
	return &authority{certificate: certificate, key: key}, err
}

func (ca *authority) issue(dir string, l leaf, now time.Time) error {
	template, err := newTemplate(pkix.Name{CommonName: l.user, Organization: l.groups}, now)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range l.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := newKey(dir, l.name)
	if err != nil {
		return err
	}
	_, err = sign(dir, l.name, template, key.Public(), ca)
	return err
}

func newTemplate(subject pkix.Name, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certificateLifetime),
	}, nil
}

func newKey(dir, name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(filepath.Join(dir, name+".key"), "PRIVATE KEY", der)
}

func sign(dir, name string, template *x509.Certificate, public crypto.PublicKey, ca *authority) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, public, ca.key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
