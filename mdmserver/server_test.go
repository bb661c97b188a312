package mdmserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

func TestInfoDescribesTheServer(t *testing.T) {
	w := newWorld(t)
	w.enrolled(t, 1)
	info, err := w.admin.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Version != "test" || info.LeaseEpoch != 1 || info.Enrolled != 1 || info.Responding != 1 || info.Behind != 0 {
		t.Errorf("info %+v", info)
	}
	if info.Serving.Fingerprint == "" || info.Serving.NotAfter.IsZero() || len(info.SealingKeys) != 1 || info.SealingKeys[0] != "k1" {
		t.Errorf("credentials %+v", info)
	}
	if len(info.IdentityCAs) != 1 || info.IdentityCAs[0].Generation != 1 || info.IdentityCAs[0].Role != "Active" {
		t.Errorf("identity CAs %+v", info.IdentityCAs)
	}
	if info.Push.Topic != serverfiles.Topic || info.Push.Paused || info.Push.Certificate.Fingerprint == "" {
		t.Errorf("push %+v", info.Push)
	}
}

// The internal API is for one client only.
func TestOnlyTheManagerMayCallTheInternalAPI(t *testing.T) {
	w := newWorld(t)
	address := w.addrs.Admin.String()
	for name, client := range map[string]*http.Client{
		"of another CA":   w.AdminHTTP(t, pki.NewCA(t, "stranger"), serverfiles.AdminClient),
		"of another name": w.AdminHTTP(t, w.AdminCA, "kubemdm-device"),
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/v1/info", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := client.Do(r); err == nil {
			res.Body.Close()
			t.Errorf("a client %s was answered %s", name, res.Status)
		}
	}
	nobody, err := tls.Dial("tcp", address, &tls.Config{RootCAs: w.AdminCA.Pool()})
	if err == nil {
		defer nobody.Close()
		_, err = nobody.Read(make([]byte, 1)) // TLS 1.3 refuses after the client's handshake
	}
	if err == nil || errors.Is(err, io.EOF) {
		t.Errorf("without a certificate: %v, want a TLS alert", err)
	}
	if _, err := w.admin.Info(t.Context()); err != nil {
		t.Errorf("the manager was not answered: %v", err)
	}
}

// The internal API and the devices' endpoints never meet on one address.
func TestTheDevicesListenerKnowsNothingOfTheInternalAPI(t *testing.T) {
	w := newWorld(t)
	client := w.deviceHTTP(t)
	for _, path := range []string{"/v1/info", "/v1/devices", "/metrics"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+serverfiles.Host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// Whatever else a client offers, devices and agents are served by HTTP/1.1, on both hosts.
func TestDevicesAreServedByHTTP1(t *testing.T) {
	w := newWindowsWorld(t)
	for _, host := range []string{serverfiles.Host, serverfiles.ManagementHost} {
		conn, err := tls.Dial("tcp", w.addrs.Devices.String(), &tls.Config{RootCAs: w.WebCA.Pool(), ServerName: host, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
			t.Errorf("%s speaks %q", host, got)
		}
	}
}

func TestARenewedServingCertificateIsUsedWithoutARestart(t *testing.T) {
	w := newWorld(t)
	renewed := w.WebCA.Issue(t, pki.Leaf{CN: "renewed", Names: []string{serverfiles.Host}, NotAfter: time.Now().AddDate(0, 0, 2)})
	w.WritePair(t, "serving", renewed, w.WebCA)
	hangUp(t)
	w.awaitInfo(t, func(i *adminapi.Info) bool { return i.Serving.NotAfter.Equal(renewed.Leaf.NotAfter) })
	client := w.deviceHTTP(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+serverfiles.Host+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := res.TLS.PeerCertificates[0].Subject.CommonName; got != "renewed" {
		t.Errorf("devices see %q", got)
	}

	w.Put(t, "serving/tls.key", []byte("garbage"))
	hangUp(t)
	info := w.awaitInfo(t, func(i *adminapi.Info) bool { return len(i.Refused) > 0 })
	if !strings.Contains(info.Refused["serving"], "no pair") || !info.Serving.NotAfter.Equal(renewed.Leaf.NotAfter) {
		t.Errorf("info %+v", info)
	}
	if _, body := w.get(t, "/metrics"); !strings.Contains(body, `kubemdm_server_mounted_folder_refused{folder="serving"} 1`) {
		t.Error("the metrics do not tell of the refused folder")
	}
}

// A new generation of the CA issues from the moment it is active; devices with a certificate of the retired one stay managed.
func TestTheIdentityCARotatesWithoutARestart(t *testing.T) {
	w := newWorld(t)
	old, _ := w.enrolled(t, 1)
	next := pki.NewIdentityCA(t, "device identity 2")
	w.Put(t, "identity/2.crt", next.CertPEM())
	w.Put(t, "identity/2.key", next.KeyPEM(t))
	w.Put(t, "identity/roles.json", []byte(`{"1": "Retired", "2": "Active"}`))
	hangUp(t)
	w.awaitInfo(t, func(i *adminapi.Info) bool { return len(i.IdentityCAs) == 2 && i.IdentityCAs[1].Role == "Active" })
	mac, _ := w.enrolled(t, 2)
	if err := mac.Identity().Certificate.CheckSignatureFrom(next.Cert); err != nil {
		t.Errorf("the new Mac's certificate is not of the new generation: %v", err)
	}
	if err := old.Idle(t.Context()); err != nil {
		t.Errorf("the old Mac: %v", err)
	}
}

func TestARefusedPushCertificateIsTold(t *testing.T) {
	w := newWorld(t)
	w.WritePair(t, "push", pki.NewCA(t, "other").Issue(t, pki.Leaf{CN: "APSP", UID: serverfiles.Topic}), nil)
	hangUp(t)
	_, device := w.enrolled(t, 1)
	if err := w.admin.Push(t.Context(), []string{device.ID}); err != nil {
		t.Fatal(err)
	}
	info := w.awaitInfo(t, func(i *adminapi.Info) bool { return i.Push.Paused })
	if info.Push.Reason != "CertificateRefused" || info.Push.Message == "" || info.Enrolled != 1 {
		t.Errorf("info %+v", info)
	}
}

// A push certificate that is bad from the start leaves the server without one, and the manager learns what is wrong with it.
func TestABadPushCertificateAtTheStartIsTold(t *testing.T) {
	w := newWorld(t)
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.WritePair(t, "push", w.PushCA.Issue(t, pki.Leaf{CN: "no topic"}), nil)
	w.start(t)
	info := w.awaitInfo(t, func(i *adminapi.Info) bool { return i.Push.Paused })
	if info.Push.Reason != "NoCertificate" || !strings.Contains(info.Push.Message, "no topic") || info.Push.Topic != "" {
		t.Errorf("push %+v", info.Push)
	}
}

// hangUp makes every server of this process look at its folders.
func hangUp(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// awaitInfo asks until the answer matches.
func (w *world) awaitInfo(t *testing.T, match func(*adminapi.Info) bool) *adminapi.Info {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		info, err := w.admin.Info(ctx)
		if err != nil {
			t.Fatalf("waiting for the server's state: %v", err)
		}
		if match(info) {
			return info
		}
	}
}

func TestHealthAndMetrics(t *testing.T) {
	w := newWorld(t)
	w.enrolled(t, 1)
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, _ := w.get(t, path); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	_, body := w.get(t, "/metrics")
	for _, want := range []string{
		`kubemdm_server_build_info{goversion="`,
		"kubemdm_server_enrolled_devices 1",
		"kubemdm_server_behind_devices 0",
		"kubemdm_server_responding_devices 1",
		`kubemdm_server_certificate_expiry_timestamp_seconds{certificate="serving"}`,
		`kubemdm_server_certificate_expiry_timestamp_seconds{certificate="push"}`,
		`kubemdm_server_certificate_expiry_timestamp_seconds{certificate="identity-ca-1"}`,
		`kubemdm_server_http_requests_total{code="200",endpoint="GET /enroll/{token}",listener="devices"} 1`,
		`kubemdm_server_http_requests_total{code="200",endpoint="PUT /v1/tokens/{namespace}/{name}",listener="admin"} 1`,
		`kubemdm_server_pushes_total{outcome="Accepted"} 0`,
		"kubemdm_server_push_paused 0",
		"kubemdm_server_store_errors_total 0",
		"kubemdm_server_http_panics_total 0",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(body, "E2E") {
		t.Error("the metrics name a device")
	}
}

// A long poll of the manager must not hold up a stop, and a request of a device that is under way is answered.
func TestAStopIsGraceful(t *testing.T) {
	w := newWorld(t)
	polled := make(chan int, 1)
	manager := w.AdminHTTP(t, w.AdminCA, serverfiles.AdminClient)
	go func() {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+w.addrs.Admin.String()+"/v1/changes?wait=50s", nil)
		r.Header.Set(adminapi.HeaderLeaseEpoch, "2")
		polled <- statusOf(manager, r)
	}()
	w.awaitInfo(t, func(i *adminapi.Info) bool { return i.LeaseEpoch == 2 }) // the poll has arrived
	body, send := io.Pipe()
	answered := make(chan int, 1)
	client := w.deviceHTTP(t)
	client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
	go func() {
		r, _ := http.NewRequestWithContext(context.Background(), http.MethodPost, "https://"+serverfiles.Host+"/scep?operation=PKIOperation", body)
		r.Header.Set("Expect", "100-continue") // the body is sent once the server reads it
		answered <- statusOf(client, r)
	}()
	if _, err := send.Write([]byte("half a")); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- w.stop() }()
	if status := <-polled; status != http.StatusServiceUnavailable {
		t.Errorf("the long poll ended with %d", status)
	}
	if status, _ := w.get(t, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("while stopping /readyz is %d", status)
	}
	if err := send.Close(); err != nil {
		t.Fatal(err)
	}
	if status := <-answered; status != http.StatusBadRequest {
		t.Errorf("the request under way was answered %d", status)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stopping: %v", err)
	}
	if _, err := net.Dial("tcp", w.addrs.Devices.String()); err == nil {
		t.Error("the port is still open")
	}
}

// statusOf is 0 when there was no answer.
func statusOf(client *http.Client, r *http.Request) int {
	res, err := client.Do(r)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, f *serverfiles.Files)
		want    string
	}{
		"serving certificate": {func(t *testing.T, f *serverfiles.Files) {
			if err := os.Remove(filepath.Join(f.Dir, "serving/tls.crt")); err != nil {
				t.Fatal(err)
			}
		}, "tls.crt is missing"},
		"store's folder": {func(_ *testing.T, f *serverfiles.Files) {
			f.Config.Store.SQLite.Path = filepath.Join(f.Dir, "nowhere", "mdm.db")
		}, "nowhere"},
		"CA of the fake": {func(_ *testing.T, f *serverfiles.Files) {
			f.Config.Apple.Push.CAFile = filepath.Join(f.Dir, "none.crt")
		}, "apple.push.caFile"},
		"address in use":  {func(t *testing.T, f *serverfiles.Files) { f.Config.Listen.Admin = occupied(t) }, "admin listener"},
		"address unknown": {func(_ *testing.T, f *serverfiles.Files) { f.Config.Listen.Health = "nowhere" }, "health listener"},
	} {
		t.Run(name, func(t *testing.T) {
			files := serverfiles.Write(t)
			tc.prepare(t, files)
			var log bytes.Buffer
			err := mdmserver.Run(t.Context(), files.Config, slog.New(slog.NewJSONHandler(&log, nil)), "test")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func occupied(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}
