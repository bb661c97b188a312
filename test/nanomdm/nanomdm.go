package nanomdm

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/micromdm/nanomdm/storage/pgsql"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/postgres"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// What the enrolment profile says.
const (
	Identifier   = "com.example.nanomdm.enroll"
	AccessRights = 7167
)

// Server is a real NanoMDM behind a proxy that ends TLS, as it is run in production, with the CA that issued its devices' certificates.
type Server struct {
	t     testing.TB
	db    *postgres.Cluster
	proxy *httptest.Server
	// CA issued the certificates of its devices; Keys are those of the devices.
	CA   *pki.CA
	Keys *devicesim.KeyPool
	// ServerURL and CheckInURL stand in its enrolment profile.
	ServerURL, CheckInURL string
}

const databaseName = "nanomdm"

// database is a PostgreSQL with NanoMDM's database.
func database(t testing.TB) *postgres.Cluster {
	t.Helper()
	c := postgres.Start(t, postgres.Options{})
	c.Exec("postgres", "CREATE DATABASE "+databaseName)
	c.Exec(databaseName, pgsql.Schema)
	return c
}

// build makes the program from its module.
func build(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nanomdm")
	// Tests run in the folder of their own package.
	here, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/kubemdm/kubemdm/test/nanomdm").Output()
	must(t, err)
	c := exec.Command("go", "build", "-C", filepath.Join(strings.TrimSpace(string(here)), "peer"), "-o", program, "github.com/micromdm/nanomdm/cmd/nanomdm")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("building NanoMDM: %v\n%s", err, out)
	}
	return program
}

// Start runs a NanoMDM with the paths of its default setup, or with a path of its own for check-ins.
func Start(t testing.TB, files *serverfiles.Files, checkIn bool) *Server {
	t.Helper()
	n := &Server{t: t, db: database(t), CA: pki.NewIdentityCA(t, "nanomdm scep"), Keys: devicesim.NewKeyPool(4)}
	n.ServerURL = "https://" + serverfiles.Host + "/mdm"
	n.CheckInURL = n.ServerURL
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listen.Addr().String()
	must(t, listen.Close())
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(caFile, n.CA.CertPEM(), 0o600))
	args := []string{"-listen", address, "-storage", "pgsql", "-storage-dsn", n.db.DSN(databaseName), "-ca", caFile, "-api", "key"}
	if checkIn {
		n.CheckInURL = "https://" + serverfiles.Host + "/checkin"
		args = append(args, "-checkin")
	}
	process := exec.Command(build(t), args...)
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log bytes.Buffer
	process.Stdout, process.Stderr = &log, &log
	must(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if t.Failed() {
			t.Logf("NanoMDM's log:\n%s", log.String())
		}
	})
	postgres.Eventually(t, "NanoMDM to answer", func(ctx context.Context) bool {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	n.proxy = httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address}))
	n.proxy.TLS = &tls.Config{Certificates: []tls.Certificate{files.WebCA.Issue(t, pki.Leaf{CN: serverfiles.Host, Names: []string{serverfiles.Host}})}}
	n.proxy.StartTLS()
	t.Cleanup(n.proxy.Close)
	return n
}

// Identity issues a device's certificate as the old SCEP server did, with a name that says nothing.
func (n *Server) Identity(life time.Duration) *devicesim.Identity {
	n.t.Helper()
	key, err := n.Keys.Key()
	must(n.t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(n.t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "NanoMDM Identity", Organization: []string{"Example"}},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, n.CA.Cert, key.Public(), n.CA.Key)
	must(n.t, err)
	cert, err := x509.ParseCertificate(der)
	must(n.t, err)
	return &devicesim.Identity{Certificate: cert, Key: key}
}

var enrolmentProfile = template.Must(template.New("").Parse(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>{{.Identifier}}</string><key>PayloadUUID</key><string>0E1B2B0C-6B6B-4B4B-9C7C-000000000001</string>
<key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.security.scep</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>{{.Identifier}}.scep</string><key>PayloadUUID</key><string>0E1B2B0C-6B6B-4B4B-9C7C-000000000002</string>
<key>PayloadContent</key><dict><key>URL</key><string>https://scep.example.test/scep</string></dict>
</dict><dict>
<key>PayloadType</key><string>com.apple.mdm</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>{{.Identifier}}.mdm</string><key>PayloadUUID</key><string>0E1B2B0C-6B6B-4B4B-9C7C-000000000003</string>
<key>IdentityCertificateUUID</key><string>0E1B2B0C-6B6B-4B4B-9C7C-000000000002</string>
<key>ServerURL</key><string>{{.ServerURL}}</string><key>CheckInURL</key><string>{{.CheckInURL}}</string>
<key>Topic</key><string>{{.Topic}}</string><key>AccessRights</key><integer>{{.Rights}}</integer>
{{if .Sign}}<key>SignMessage</key><true/>{{end}}<key>CheckOutWhenRemoved</key><true/>
<key>ServerCapabilities</key><array><string>com.apple.mdm.per-user-connections</string><string>com.apple.mdm.bootstraptoken</string></array>
</dict></array></dict></plist>`))

// Profile is the enrolment profile that the old world handed out.
func (n *Server) Profile(sign bool) []byte {
	n.t.Helper()
	var b bytes.Buffer
	must(n.t, enrolmentProfile.Execute(&b, map[string]any{
		"Identifier": Identifier, "ServerURL": n.ServerURL, "CheckInURL": n.CheckInURL, "Topic": serverfiles.Topic, "Rights": AccessRights, "Sign": sign,
	}))
	return b.Bytes()
}

// Address is where its devices find it.
func (n *Server) Address() string { return n.proxy.Listener.Addr().String() }

// DSN is the address of its database, and that of an empty one beside it.
func (n *Server) DSN() (own, empty string) { return n.db.DSN(databaseName), n.db.DSN("postgres") }

// Exec changes its database by hand.
func (n *Server) Exec(sql string, args ...any) {
	n.t.Helper()
	n.db.Exec(databaseName, sql, args...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
