package mdmserver_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/oidcissuer"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// A person signs in on the page that Setup Assistant shows, and the account is known with the device; without that the device gets nothing.
func TestAPersonSignsInWhileAMacIsSetUp(t *testing.T) {
	issuer, caPEM := oidcissuer.Start(t, oidcissuer.Config{
		ClientID: "kubemdm", ClientSecret: "client-secret", Now: time.Now,
		Users: map[string]oidcissuer.User{"ada": {Password: "lovelace", Claims: map[string]any{"email": "ada@example.com", "email_verified": true}}},
	})
	w := newWorld(t)
	ca := w.factory(t)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.Put(t, "apple-signin/"+serverconfig.ClientSecretFile, []byte("client-secret"))
	w.Put(t, "apple-signin/"+serverconfig.CAFile, caPEM)
	w.Config.Apple.SignIn = &serverconfig.SignIn{IssuerURL: issuer.URL(), ClientID: "kubemdm", Dir: filepath.Join(w.Dir, "apple-signin"), Domains: []string{"example.com"}}
	w.start(t)

	roots := w.WebCA.Pool()
	roots.AppendCertsFromPEM(caPEM)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(address); host == serverfiles.Host {
				address = w.addrs.Devices.String()
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	mac, err := devicesim.New(devicesim.Options{Hardware: devicesim.Mac("E2E", 1), Client: &http.Client{Transport: transport}, Roots: roots, Key: keys.Key})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.admin.PutAutomated(t.Context(), adminapi.Automated{
		Key: "fleet/business", Digest: "1", Devices: map[string]string{mac.Hardware().SerialNumber: "macs"},
		Profiles: []adminapi.AutomatedProfile{{Name: "macs", SignIn: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	assistant := setUp(t, ca, mac)
	if err := mac.EnrollAutomated(t.Context(), assistant); err == nil {
		t.Fatal("the Mac enrolled without a sign-in")
	}
	assistant.Profile = []byte(`{"profile_name": "Macs", "url": "` + setupURL + `", "configuration_web_url": "` + setupURL + `/signin", "await_device_configured": true}`)
	assistant.SignIn = func(context.Context, *url.URL, []byte) (url.Values, error) {
		return url.Values{oidcissuer.FieldUsername: {"ada"}, oidcissuer.FieldPassword: {"lovelace"}}, nil
	}
	if err := mac.EnrollAutomated(t.Context(), assistant); err != nil {
		t.Fatal(err)
	}
	device := w.await(t, func(c adminapi.Change) bool { return c.Device != nil && c.Device.State == adminapi.DeviceEnrolled }).Device
	if device.UserPrincipalName != "ada@example.com" || device.Automated != "fleet/business" {
		t.Errorf("the server knows %+v", device)
	}
}
