package mdmserver_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/test/apnsfake"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// keys are shared by all devices of the tests: RSA keys take time.
var keys = devicesim.NewKeyPool(4)

// world is a running server with everything around it: plain files, Apple's push service, and the manager's client.
type world struct {
	*serverfiles.Files
	apns   *apnsfake.Fake
	pushes *devicesim.Pushes
	admin  *adminapi.Client
	addrs  mdmserver.Addresses
	log    *buffer
	// restarts takes the serial number of each Mac that restarted.
	restarts chan string
	// stop ends the server and returns what Serve returned. It may be called twice.
	stop func() error
}

// buffer collects the server's log.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newWorld starts a server on fresh files.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := prepare(t)
	w.start(t)
	return w
}

// prepare writes fresh files for a server and starts what it talks to.
func prepare(t testing.TB) *world {
	t.Helper()
	w := &world{Files: serverfiles.Write(t), pushes: devicesim.NewPushes(), restarts: make(chan string, 64)}
	w.apns, w.Config.Apple.Push.URL = apnsfake.Start(t, w.PushCA)
	w.Put(t, "apns-ca.crt", w.PushCA.CertPEM())
	w.Config.Apple.Push.CAFile = filepath.Join(w.Dir, "apns-ca.crt")
	w.apns.OnPush(w.pushes.Push)
	return w
}

// start runs a server on the files as they are, which may be those of an earlier one.
func (w *world) start(t testing.TB) {
	t.Helper()
	w.log = &buffer{}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := mdmserver.Start(ctx, w.Config, slog.New(slog.NewJSONHandler(w.log, nil)), "test")
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	w.stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	w.addrs = s.Addresses()
	w.admin = w.Manager(t, w.addrs.Admin.String())
	// A server that answers heeds signals: those of tests would end the process before.
	if _, err := w.admin.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// deviceHTTP is a device's client, which finds the server's public name at the loopback address.
func (w *world) deviceHTTP(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.WebCA.Pool()},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.addrs.Devices.String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// token stores an EnrollmentToken and returns the URL to enrol at.
func (w *world) token(t testing.TB, key adminapi.Key) string {
	t.Helper()
	secret := rand.Text()
	hash := sha256.Sum256([]byte(secret))
	if _, err := w.admin.PutToken(t.Context(), adminapi.Token{Key: key, Hash: hex.EncodeToString(hash[:])}); err != nil {
		t.Fatal(err)
	}
	return "https://" + serverfiles.Host + "/enroll/" + secret
}

// hear notes that a Mac restarted: it does so after it has acknowledged the command, so the server may know of it before.
func (w *world) hear(e devicesim.Event) {
	if e.Kind == devicesim.EventRestarted {
		w.restarts <- e.Serial
	}
}

// mac makes a Mac that is not enrolled yet.
func (w *world) mac(t testing.TB, index int) *devicesim.Device {
	t.Helper()
	d, err := devicesim.New(devicesim.Options{Hardware: devicesim.Mac("E2E", index), Client: w.deviceHTTP(t), Roots: w.WebCA.Pool(), Key: keys.Key, Waker: w.pushes, OnEvent: w.hear})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// enrolled makes a Mac, enrols it and returns what the server knows of it.
func (w *world) enrolled(t testing.TB, index int) (*devicesim.Device, adminapi.Device) {
	t.Helper()
	d := w.mac(t, index)
	if err := d.Enroll(t.Context(), w.token(t, adminapi.Key(fmt.Sprintf("fleet/token-%d", index)))); err != nil {
		t.Fatal(err)
	}
	change := w.await(t, func(c adminapi.Change) bool {
		return c.Device != nil && c.Device.SerialNumber == d.Hardware().SerialNumber && c.Device.State == adminapi.DeviceEnrolled
	})
	return d, *change.Device
}

// run lets a device live on its own until the test ends.
func run(t testing.TB, d *devicesim.Device) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx) // it ends with the test, or when the device leaves management
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// await takes and acks changes until one is what the test waits for.
func (w *world) await(t testing.TB, match func(adminapi.Change) bool) adminapi.Change {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		got, err := w.admin.Changes(ctx, 10*time.Second, 100)
		if err != nil {
			t.Fatalf("waiting for a change: %v", err)
		}
		acks := adminapi.Acks{StoreEpoch: got.StoreEpoch}
		for _, c := range got.Changes {
			acks.Acks = append(acks.Acks, adminapi.Ack{Kind: c.Kind, Key: c.Key, Version: c.Version})
		}
		if err := w.admin.Ack(ctx, acks); err != nil {
			t.Fatalf("acking: %v", err)
		}
		for _, c := range got.Changes {
			if match(c) {
				return c
			}
		}
	}
}

// get reads a page of the health listener.
func (w *world) get(t testing.TB, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.addrs.Health.String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// wifi is a profile for the device channel.
func wifi(digest, ssid string) adminapi.Artifact {
	return adminapi.Artifact{Key: "fleet/wifi", Scope: adminapi.ScopeSystem, Identifier: "io.example.wifi", Digest: digest, Sign: true, Template: []byte(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>io.example.wifi</string><key>PayloadUUID</key><string>5a0c0f6e-54b6-4c2b-8f6e-0d6a2f6f0001</string>
<key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.wifi.managed</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>io.example.wifi.1</string><key>PayloadUUID</key><string>5a0c0f6e-54b6-4c2b-8f6e-0d6a2f6f0002</string>
<key>SSID_STR</key><string>` + ssid + `</string><key>Note</key><string>$(device.serialNumber)</string>
</dict></array></dict></plist>`)}
}
