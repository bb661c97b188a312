// Package serverfiles lays out the plain files with which a protocol server runs alone: its configuration and the folders that Secrets are
// mounted to in a cluster.
package serverfiles

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/pki"
)

// Host is the public name of the server, ManagementHost that of Windows' management sessions; AdminClient the name that the internal API's client must
// bear; Topic that of the push certificate.
const (
	Host           = "mdm.example.test"
	ManagementHost = "manage.example.test"
	AdminClient    = "kubemdm-manager"
	Topic          = "com.apple.mgmt.External.00000000-0000-4000-8000-000000000001"
)

// Files are the written files and the authorities behind them.
type Files struct {
	Config serverconfig.Config
	// Dir holds a folder for each of serving, admin, sealing, push, identity and store, and wstep for Windows devices.
	Dir string
	// WebCA signs the serving certificate, AdminCA both sides of the internal API, PushCA the push certificate, IdentityCA (the only
	// generation) Apple devices, and WSTEPCA, unless it is nil, Windows devices.
	WebCA, AdminCA, PushCA, IdentityCA, WSTEPCA *pki.CA
}

// Write makes everything for Apple devices in a temporary folder. All listeners are on free ports of the loopback interface.
func Write(t testing.TB) *Files {
	t.Helper()
	dir := t.TempDir()
	f := &Files{
		Dir:   dir,
		WebCA: pki.NewCA(t, "web"), AdminCA: pki.NewCA(t, "admin"), PushCA: pki.NewCA(t, "push"), IdentityCA: pki.NewIdentityCA(t, "device identity 1"),
		Config: serverconfig.Config{
			Namespace: "fleet", Name: "main", Host: Host, Organization: "Example",
			Listen:     serverconfig.Listen{Devices: "127.0.0.1:0", Admin: "127.0.0.1:0", Health: "127.0.0.1:0"},
			ServingDir: filepath.Join(dir, "serving"), TrustAnchor: true,
			AdminDir: filepath.Join(dir, "admin"), AdminClient: AdminClient,
			SealingDir:  filepath.Join(dir, "sealing"),
			Store:       serverconfig.Store{SQLite: &serverconfig.SQLite{Path: filepath.Join(dir, "store", "mdm.db")}},
			SilentAfter: serverconfig.Duration(7 * 24 * time.Hour),
			Apple: &serverconfig.Apple{
				Push: serverconfig.Push{Dir: filepath.Join(dir, "push"), URL: "https://127.0.0.1:1"},
				Identity: serverconfig.Identity{Dir: filepath.Join(dir, "identity"),
					Validity: serverconfig.Duration(365 * 24 * time.Hour), RenewBefore: serverconfig.Duration(180 * 24 * time.Hour)},
				AccessRights: 8191,
			},
		},
	}
	f.WritePair(t, "serving", f.WebCA.Issue(t, pki.Leaf{CN: Host, Names: []string{Host, ManagementHost}}), f.WebCA)
	f.WritePair(t, "admin", f.AdminCA.Issue(t, pki.Leaf{CN: "server", Names: []string{"127.0.0.1"}}), f.AdminCA)
	f.WritePair(t, "push", f.PushCA.Issue(t, pki.Leaf{CN: "APSP:1", UID: Topic}), nil)
	key := make([]byte, 32)
	rand.Read(key)
	f.Put(t, "sealing/k1", key)
	f.Put(t, "sealing/"+serverconfig.PrimaryFile, []byte("k1"))
	f.writeGeneration(t, "identity", f.IdentityCA)
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	return f
}

// AddWindows adds what it takes to serve Windows devices: any proof is enough, and sessions are on a host of their own.
func (f *Files) AddWindows(t testing.TB) {
	t.Helper()
	const day = 24 * time.Hour
	f.WSTEPCA = pki.NewIdentityCA(t, "windows identity 1")
	f.writeGeneration(t, "wstep", f.WSTEPCA)
	f.Config.Windows = &serverconfig.Windows{
		ManagementHost: ManagementHost,
		Identity: serverconfig.Identity{Dir: filepath.Join(f.Dir, "wstep"),
			Validity: serverconfig.Duration(365 * day), RenewBefore: serverconfig.Duration(42 * day)},
		Authentication: serverconfig.Authentication{Require: serverconfig.RequireDigest},
		PollEvery:      serverconfig.Duration(8 * time.Hour),
		VerifyEvery:    serverconfig.Duration(8 * time.Hour),
	}
}

// writeGeneration makes a CA the only generation in a folder.
func (f *Files) writeGeneration(t testing.TB, folder string, ca *pki.CA) {
	t.Helper()
	f.Put(t, folder+"/1.crt", ca.CertPEM())
	f.Put(t, folder+"/1.key", ca.KeyPEM(t))
	f.Put(t, folder+"/"+serverconfig.RolesFile, []byte(`{"1": "Active"}`))
}

// WritePair puts a pair into a folder, with the certificate of ca beside it unless ca is nil.
func (f *Files) WritePair(t testing.TB, folder string, pair tls.Certificate, ca *pki.CA) {
	t.Helper()
	cert, key := pki.PEM(t, pair)
	f.Put(t, folder+"/"+serverconfig.CertFile, cert)
	f.Put(t, folder+"/"+serverconfig.KeyFile, key)
	if ca != nil {
		f.Put(t, folder+"/"+serverconfig.CAFile, ca.CertPEM())
	}
}

// Put writes one file below Dir.
func (f *Files) Put(t testing.TB, name string, content []byte) {
	t.Helper()
	path := filepath.Join(f.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// WriteConfig writes Config as the configuration file and returns its path.
func (f *Files) WriteConfig(t testing.TB) string {
	t.Helper()
	b, err := json.MarshalIndent(f.Config, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	f.Put(t, "mdmserver.json", b)
	return filepath.Join(f.Dir, "mdmserver.json")
}

// AdminHTTP returns an HTTP client for the internal API that presents a certificate of issuer with this common name. The real issuer is AdminCA.
func (f *Files) AdminHTTP(t testing.TB, issuer *pki.CA, cn string) *http.Client {
	t.Helper()
	cert := issuer.Issue(t, pki.Leaf{CN: cn})
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: f.AdminCA.Pool(),
		// Unlike Certificates, this presents the certificate whatever issuers the server lists.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// Manager returns the manager's client of the internal API at address, with the lease epoch 1.
func (f *Files) Manager(t testing.TB, address string) *adminapi.Client {
	t.Helper()
	return adminapi.NewClient("https://"+address, f.AdminHTTP(t, f.AdminCA, AdminClient), 1)
}
