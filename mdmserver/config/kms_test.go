package config_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/keys/envelope"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/test/awsfake"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const (
	pushID  = "11111111-2222-3333-4444-555555555555"
	sealID  = "99999999-2222-3333-4444-555555555555"
	pushURI = "awskms:key-id=" + pushID
	sealURI = "awskms:key-id=" + sealID
)

// putKMSPair gives the push folder a certificate for a key in a KMS.
func putKMSPair(t *testing.T, files *serverfiles.Files, public crypto.PublicKey, uri string) {
	t.Helper()
	remove(t, files, "push/tls.key")
	files.Put(t, "push/tls.crt", certificateFor(t, files.PushCA, pki.Leaf{CN: "APSP:kms", UID: serverfiles.Topic}, public))
	files.Put(t, "push/key.uri", []byte(uri+"\n"))
}

func certificateFor(t *testing.T, ca *pki.CA, leaf pki.Leaf, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, ca.Issue(t, leaf).Leaf, ca.Cert, public, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func remove(t *testing.T, files *serverfiles.Files, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(files.Dir, name)); err != nil {
		t.Fatal(err)
	}
}

// A KMS that is away keeps nothing else from being used, is asked again by itself, and left alone once its key is in use.
func TestAPushKeyInAKMS(t *testing.T) {
	aws := awsfake.Start(t)
	private := awsfake.NewKey(t)
	aws.Put(pushID, awsfake.SignVerify, private)
	files := serverfiles.Write(t)
	c := open(t, files)
	old, _, _ := c.Push()

	aws.Fail(awsfake.Away)
	putKMSPair(t, files, &private.PublicKey, pushURI)
	c.Reload()
	if reason := c.Refused()[config.FolderPush]; !strings.Contains(reason, "the KMS is not available") {
		t.Errorf("refusal is %q", reason)
	}
	if cert, _, ok := c.Push(); !ok || cert != old {
		t.Error("the live pair is not in use any more")
	}
	without := open(t, files)
	if _, _, ok := without.Push(); ok || without.Refused()[config.FolderPush] == "" {
		t.Error("a server starts in the outage, without a push certificate")
	}

	aws.Fail("")
	changed := c.PushChanged()
	c.Reload()
	cert, topic, ok := c.Push()
	if !ok || topic != serverfiles.Topic || cert.Leaf.Subject.CommonName != "APSP:kms" || len(c.Refused()) != 0 || !isClosed(changed) {
		t.Fatalf("the key in the KMS is not in use: %v", c.Refused())
	}
	calls := aws.Calls()
	c.Reload()
	if got := aws.Calls(); !maps.Equal(got, calls) {
		t.Errorf("the KMS was asked for what is in use: %v, before %v", got, calls)
	}
	aws.Fail(awsfake.AccessDenied)
	files.Put(t, "push/key.uri", []byte(pushURI))
	c.Reload()
	if reason := c.Refused()[config.FolderPush]; !strings.Contains(reason, "kms:Sign") {
		t.Errorf("refusal is %q", reason)
	}
}

func TestAPushKeyInAKMSThatCannotBeUsed(t *testing.T) {
	aws := awsfake.Start(t)
	private, other := awsfake.NewKey(t), awsfake.NewKey(t)
	aws.Put(pushID, awsfake.SignVerify, private)
	aws.Put(sealID, awsfake.EncryptDecrypt, other)
	past := pki.Leaf{CN: "old", UID: serverfiles.Topic, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	for name, tc := range map[string]struct {
		change func(*testing.T, *serverfiles.Files)
		want   string
		calls  int
	}{
		"another key's certificate": {func(t *testing.T, f *serverfiles.Files) { putKMSPair(t, f, &other.PublicKey, pushURI) }, "not issued for the key of key.uri", 1},
		"key that does not sign":    {func(t *testing.T, f *serverfiles.Files) { putKMSPair(t, f, &other.PublicKey, sealURI) }, "does not sign", 2},
		"two keys": {func(t *testing.T, f *serverfiles.Files) {
			f.WritePair(t, "push", f.PushCA.Issue(t, pki.Leaf{CN: "x", UID: serverfiles.Topic}), nil)
		}, "both tls.key and key.uri", 0},
		"expired": {func(t *testing.T, f *serverfiles.Files) {
			f.Put(t, "push/tls.crt", certificateFor(t, f.PushCA, past, &private.PublicKey))
		}, "expired at", 0},
		"no certificate": {func(t *testing.T, f *serverfiles.Files) { remove(t, f, "push/tls.crt") }, "tls.crt is missing", 0},
		"no PEM":         {func(t *testing.T, f *serverfiles.Files) { f.Put(t, "push/tls.crt", []byte("x")) }, "no PEM certificate", 0},
		"broken PEM": {func(t *testing.T, f *serverfiles.Files) {
			f.Put(t, "push/tls.crt", []byte("-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n"))
		}, "cannot be read", 0},
		"no topic": {func(t *testing.T, f *serverfiles.Files) {
			f.Put(t, "push/tls.crt", certificateFor(t, f.PushCA, pki.Leaf{CN: "x"}, &private.PublicKey))
		}, "no topic", 2},
		"empty URI":   {func(t *testing.T, f *serverfiles.Files) { f.Put(t, "push/key.uri", nil) }, "must begin with", 0},
		"unknown KMS": {func(t *testing.T, f *serverfiles.Files) { f.Put(t, "push/key.uri", []byte("vault:x")) }, "must begin with", 0},
	} {
		t.Run(name, func(t *testing.T) {
			files := serverfiles.Write(t)
			putKMSPair(t, files, &private.PublicKey, pushURI)
			tc.change(t, files)
			before := count(aws)
			c := open(t, files)
			if reason := c.Refused()[config.FolderPush]; !strings.Contains(reason, tc.want) {
				t.Errorf("refusal is %q, want %q", reason, tc.want)
			}
			if got := count(aws) - before; got != tc.calls {
				t.Errorf("the KMS was asked %d times, want %d", got, tc.calls)
			}
		})
	}
}

func count(aws *awsfake.Fake) (n int) {
	for _, calls := range aws.Calls() {
		n += calls
	}
	return n
}

// A KMS that hangs must not keep an expiring certificate in use elsewhere.
func TestASlowKMSHoldsUpNoOtherFolder(t *testing.T) {
	aws := awsfake.Start(t)
	private := awsfake.NewKey(t)
	aws.Put(pushID, awsfake.SignVerify, private)
	goOn := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-goOn
		aws.ServeHTTP(w, r)
	}))
	defer slow.Close()
	t.Setenv("AWS_ENDPOINT_URL_KMS", slow.URL)
	files := serverfiles.Write(t)
	c := open(t, files)

	putKMSPair(t, files, &private.PublicKey, pushURI)
	c.Reload()
	files.WritePair(t, "serving", files.WebCA.Issue(t, pki.Leaf{CN: "renewed"}), files.WebCA)
	c.Reload()
	if got := c.Serving().Leaf.Subject.CommonName; got != "renewed" {
		t.Errorf("serving %q while the KMS hangs", got)
	}
	if cert, _, ok := c.Push(); !ok || cert.Leaf.Subject.CommonName == "APSP:kms" {
		t.Error("the live push certificate is not in use")
	}
	changed := c.PushChanged()
	close(goOn)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case <-changed:
	case <-ctx.Done():
		t.Error("the push certificate is not in use though the KMS answers")
	}
	if got := aws.Calls()["GetPublicKey"]; got != 1 {
		t.Errorf("the KMS was asked for one key %d times", got)
	}
}

func TestSealedFiles(t *testing.T) {
	aws := awsfake.Start(t)
	private := awsfake.NewKey(t)
	aws.Put(sealID, awsfake.EncryptDecrypt, private)
	files := serverfiles.Write(t)
	key, err := os.ReadFile(filepath.Join(files.Dir, "sealing/k1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"serving/tls.key", "admin/tls.key", "sealing/k1", "push/tls.key", "identity/1.key"} {
		sealFile(t, files, name, &private.PublicKey)
	}
	files.Put(t, "sealing/key.pin", []byte("not a key"))
	c := open(t, files)
	if !bytes.Equal(c.Sealing().Keys["k1"], key) || len(c.Sealing().Keys) != 1 {
		t.Errorf("sealing keys %v", c.Sealing().Primary)
	}
	if _, _, ok := c.Push(); !ok || len(c.Refused()) != 0 || len(c.IdentityCAs()) != 1 {
		t.Errorf("refused: %v", c.Refused())
	}

	// Refused for another reason, it is opened once only.
	files.WritePair(t, "serving", files.WebCA.Issue(t, pki.Leaf{CN: "soon", NotBefore: time.Now().Add(time.Hour)}), files.WebCA)
	sealFile(t, files, "serving/tls.key", &private.PublicKey)
	calls := aws.Calls()["Decrypt"]
	for range 3 {
		c.Reload()
	}
	if got := aws.Calls()["Decrypt"]; got != calls+1 || !strings.Contains(c.Refused()[config.FolderServing], "check the clock") {
		t.Errorf("%d decryptions, refused %v", got-calls, c.Refused())
	}

	files.Put(t, "serving/tls.key", []byte("x"))
	aws.Fail(awsfake.Disabled)
	files.Put(t, "admin/new", nil)
	c.Reload()
	refused := c.Refused()
	if !strings.Contains(refused[config.FolderServing], "both tls.key and tls.key.sealed") || !strings.Contains(refused[config.FolderAdmin], "opening tls.key.sealed: ") || !strings.Contains(refused[config.FolderAdmin], "enable the key") {
		t.Errorf("refused: %v", refused)
	}
	if _, err := config.Open(files.Config, slog.New(slog.DiscardHandler), time.Now); err == nil || !strings.Contains(err.Error(), "enable the key") {
		t.Errorf("a server starts without its certificates: %v", err)
	}
}

func sealFile(t *testing.T, files *serverfiles.Files, name string, public *rsa.PublicKey) {
	t.Helper()
	plain, err := os.ReadFile(filepath.Join(files.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := envelope.Seal(public, sealURI, plain)
	if err != nil {
		t.Fatal(err)
	}
	files.Put(t, name+serverconfig.SealedSuffix, sealed)
	remove(t, files, name)
}
