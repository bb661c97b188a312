package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var now = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

func TestCertificatesAreTrustedWhereTheyAreNeeded(t *testing.T) {
	dir := newPKI(t)
	for _, test := range []struct {
		leaf, ca, host string
		trusted        bool
	}{
		{leaf: "apiserver", ca: clusterCA, host: nodeAddress, trusted: true},
		{leaf: "apiserver", ca: clusterCA, host: serviceAddress, trusted: true},
		{leaf: "apiserver", ca: clusterCA, host: "kubernetes.default.svc", trusted: true},
		{leaf: "apiserver", ca: clusterCA, host: "192.0.2.1"},
		{leaf: "node", ca: clusterCA, host: nodeAddress, trusted: true},
		{leaf: "etcd", ca: etcdCA, host: "127.0.0.1", trusted: true},
		{leaf: "apiserver-etcd-client", ca: etcdCA, trusted: true},
		{leaf: "front-proxy-client", ca: frontProxyCA, trusted: true},
		// A client of the cluster is none of etcd, and cannot speak for others as the front proxy can.
		{leaf: "admin", ca: etcdCA},
		{leaf: "admin", ca: frontProxyCA},
	} {
		t.Run(test.leaf+" by "+test.ca+" for "+test.host, func(t *testing.T) {
			roots := x509.NewCertPool()
			roots.AddCert(loadPair(t, dir, test.ca).Leaf)
			_, err := loadPair(t, dir, test.leaf).Leaf.Verify(x509.VerifyOptions{
				Roots: roots, DNSName: test.host, CurrentTime: now.AddDate(5, 0, 0), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			if (err == nil) != test.trusted {
				t.Errorf("trusted = %v, want %v (%v)", err == nil, test.trusted, err)
			}
		})
	}
}

func TestOnlyTheseAreAdministrators(t *testing.T) {
	dir := newPKI(t)
	var got []string
	for _, l := range leaves {
		if slices.Contains(loadPair(t, dir, l.name).Leaf.Subject.Organization, admins) {
			got = append(got, l.name)
		}
	}
	if want := []string{"apiserver-kubelet-client", "admin", "certmanager"}; !slices.Equal(got, want) {
		t.Errorf("administrators are %v, want %v", got, want)
	}
}

func TestKeysAreMadeOnceAndPrivate(t *testing.T) {
	dir := newPKI(t)
	before := loadPair(t, dir, clusterCA).Leaf
	if err := ensurePKI(dir, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !loadPair(t, dir, clusterCA).Leaf.Equal(before) {
		t.Error("a second run made another CA")
	}
	keys, err := filepath.Glob(filepath.Join(dir, "*.key"))
	if err != nil || len(keys) == 0 {
		t.Fatal("no keys", err)
	}
	for _, key := range keys {
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", key, info.Mode(), err)
		}
	}
}

func newPKI(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	if err := ensurePKI(dir, now); err != nil {
		t.Fatal(err)
	}
	return dir
}

func loadPair(t *testing.T, dir, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}
