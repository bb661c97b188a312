package mdmserver_test

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// The strongest proof that a PC gave is what the server remembers.
func TestHowAPCProvesItself(t *testing.T) {
	for name, tc := range map[string]struct {
		configure func(*serverconfig.Windows)
		forge     func(*windows.PC) func(*windows.Message)
		login     windows.Login
		want      adminapi.ManagementAuthentication
	}{
		"nobody is logged in who could reach the certificate": {login: windows.LoginNone, want: adminapi.AuthDigest},
		"no management host":    {configure: func(c *serverconfig.Windows) { c.ManagementHost = "" }, want: adminapi.AuthDigest},
		"the user is logged in": {want: adminapi.AuthMutualTLS},
		"a proxy forwards the certificate": {
			configure: func(c *serverconfig.Windows) {
				c.ManagementHost = ""
				c.Authentication = serverconfig.Authentication{Require: serverconfig.RequireCertificate, TrustedProxies: []string{"127.0.0.0/8"}}
			},
			forge: func(pc *windows.PC) func(*windows.Message) {
				return func(m *windows.Message) {
					m.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(pc.Identity().Certificate.Raw)+":")
				}
			},
			want: adminapi.AuthForwarded},
		"signatures are required": {
			configure: func(c *serverconfig.Windows) { c.Authentication.Require = serverconfig.RequireSignature },
			want:      adminapi.AuthSignature},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWindowsWorld(t, tc.configure)
			pc := w.pc(t, 1)
			w.enrolPC(t, pc)
			opts := windows.SessionOptions{Login: tc.login}
			if tc.forge != nil {
				opts.Forge = tc.forge(pc)
			}
			if _, err := pc.Session(t.Context(), opts); err != nil {
				t.Fatalf("%v\n%s", err, w.log)
			}
			device := w.awaitPC(t, pc)
			if device.Authentication != tc.want {
				t.Errorf("it proved itself by %s, want %s", device.Authentication, tc.want)
			}
		})
	}
}

// Where a certificate is required, a digest is not enough.
func TestTooWeakAProof(t *testing.T) {
	w := newWindowsWorld(t, func(c *serverconfig.Windows) { c.Authentication.Require = serverconfig.RequireCertificate })
	pc := w.pc(t, 1)
	w.enrolPC(t, pc)
	if _, err := pc.Session(t.Context(), windows.SessionOptions{Login: windows.LoginNone}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a digest: %v", err)
	}
	if _, err := pc.Session(t.Context(), windows.SessionOptions{}); err != nil {
		t.Errorf("the certificate: %v", err)
	}
}

// A header that anybody may send proves nothing, and is no way round a weaker proof either.
func TestAForwardedCertificateFromOutside(t *testing.T) {
	w := newWindowsWorld(t)
	pc := w.pc(t, 1)
	w.managed(t, pc)
	_, err := pc.Session(t.Context(), windows.SessionOptions{Login: windows.LoginNone, Forge: func(m *windows.Message) {
		m.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(pc.Identity().Certificate.Raw)+":")
	}})
	if err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v", err)
	}
}

// handshake says whether the server asks for a client's certificate, and of which CAs.
func (w *world) handshake(t *testing.T, serverName string, sessions tls.ClientSessionCache) (asked bool, cas [][]byte) {
	t.Helper()
	conn, err := tls.Dial("tcp", w.addrs.Devices.String(), &tls.Config{RootCAs: w.WebCA.Pool(), ServerName: serverName, ClientSessionCache: sessions,
		GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked, cas = true, r.AcceptableCAs
			return &tls.Certificate{}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil { // a ticket comes after the handshake
		t.Fatal(err)
	}
	return asked, cas
}

func TestTheCertificateIsAskedForOnTheManagementHostOnly(t *testing.T) {
	w := newWindowsWorld(t)
	if asked, _ := w.handshake(t, serverfiles.Host, nil); asked {
		t.Error("the server asks whoever comes for a certificate")
	}
	sessions := tls.NewLRUClientSessionCache(1)
	for range 2 { // a session is not taken up again without it
		asked, cas := w.handshake(t, strings.ToUpper(serverfiles.ManagementHost), sessions)
		if !asked || len(cas) != 1 || string(cas[0]) != string(w.WSTEPCA.Cert.RawSubject) {
			t.Errorf("on the management host: asked: %v, of %q", asked, cas)
		}
	}
}

// Each host has its own endpoints, and a connection made to one is not used for the other.
func TestTheHostsAreApart(t *testing.T) {
	w := newWindowsWorld(t)
	const management, discovery = "/api/mdm/microsoft/management", "/api/mdm/microsoft/discovery"
	for name, tc := range map[string]struct {
		method, sni, host, path string
		want                    int
	}{
		"management":                 {http.MethodPost, serverfiles.ManagementHost, serverfiles.ManagementHost, management, http.StatusBadRequest},
		"management on the main":     {http.MethodPost, serverfiles.Host, serverfiles.Host, management, http.StatusBadRequest},
		"discovery":                  {http.MethodGet, serverfiles.Host, serverfiles.Host, discovery, http.StatusOK},
		"discovery on management's":  {http.MethodGet, serverfiles.ManagementHost, serverfiles.ManagementHost, discovery, http.StatusNotFound},
		"agents":                     {http.MethodGet, serverfiles.Host, serverfiles.Host, "/api/fleet/orbit/ping", http.StatusOK},
		"agents on management's":     {http.MethodGet, serverfiles.ManagementHost, serverfiles.ManagementHost, "/api/fleet/orbit/ping", http.StatusNotFound},
		"no Macs here":               {http.MethodPut, serverfiles.Host, serverfiles.Host, "/apple/checkin", http.StatusNotFound},
		"to management over main":    {http.MethodPost, serverfiles.Host, serverfiles.ManagementHost, management, http.StatusMisdirectedRequest},
		"to main over management":    {http.MethodGet, serverfiles.ManagementHost, serverfiles.Host, discovery, http.StatusMisdirectedRequest},
		"behind a proxy without SNI": {http.MethodPost, "", serverfiles.ManagementHost, management, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			// A name that is an address is not sent as SNI.
			config := &tls.Config{RootCAs: w.WebCA.Pool(), ServerName: tc.sni}
			if tc.sni == "" {
				config.ServerName, config.InsecureSkipVerify = "127.0.0.1", true
			}
			transport := &http.Transport{TLSClientConfig: config, DialContext: w.dial}
			defer transport.CloseIdleConnections()
			r, err := http.NewRequestWithContext(t.Context(), tc.method, "https://"+tc.host+tc.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != tc.want {
				t.Errorf("answered %s", res.Status)
			}
		})
	}
}

// A new generation issues from the moment it is active: a PC with a certificate of the retired one goes on, and renews onto the new one.
func TestTheWSTEPCARotatesUnderAFleet(t *testing.T) {
	w := newWindowsWorld(t)
	pc := w.pc(t, 1)
	w.managed(t, pc)
	next := pki.NewIdentityCA(t, "windows identity 2")
	w.Put(t, "wstep/2.crt", next.CertPEM())
	w.Put(t, "wstep/2.key", next.KeyPEM(t))
	w.Put(t, "wstep/roles.json", []byte(`{"1": "Retired", "2": "Active"}`))
	hangUp(t)
	info := w.awaitInfo(t, func(i *adminapi.Info) bool { return len(i.WSTEPCAs) == 2 && i.WSTEPCAs[1].Role == "Active" })
	if len(info.IdentityCAs) != 0 || info.Push.Paused {
		t.Errorf("a server for Windows alone has %+v of Apple's", info)
	}
	w.isStillManaged(t, pc)
	if err := pc.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := pc.Identity().Certificate.CheckSignatureFrom(next.Cert); err != nil {
		t.Errorf("the renewed certificate is not of the new generation: %v", err)
	}
	w.converse(t, pc)
	w.Put(t, "wstep/roles.json", []byte(`{"2": "Active"}`))
	hangUp(t)
	w.awaitInfo(t, func(i *adminapi.Info) bool { return len(i.WSTEPCAs) == 1 })
	w.isStillManaged(t, pc)
	if _, body := w.get(t, "/metrics"); !strings.Contains(body, `certificate="wstep-ca-2"`) || strings.Contains(body, "wstep-ca-1") {
		t.Error("the metrics do not tell of the new generation alone")
	}
}
