package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/test/apnsfake"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// freeAddress is one that nobody listens on: the server's public name has to be known before it starts.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// startServer runs a whole protocol server with a token "TOKEN" and returns its files, the client of its internal API and where devices
// wait for pushes.
func startServer(t *testing.T) (*serverfiles.Files, *adminapi.Client, string) {
	t.Helper()
	files := serverfiles.Write(t)
	files.AddWindows(t)
	files.Config.Windows.ManagementHost = "" // only one address leads to the server
	files.Config.Host = freeAddress(t)
	files.Config.Listen.Devices = files.Config.Host
	files.WritePair(t, "serving", files.WebCA.Issue(t, pki.Leaf{CN: "server", Names: []string{"127.0.0.1"}}), files.WebCA)
	fake, url := apnsfake.Start(t, files.PushCA)
	files.Put(t, "apns-ca.crt", files.PushCA.CertPEM())
	files.Config.Apple.Push.URL, files.Config.Apple.Push.CAFile = url, filepath.Join(files.Dir, "apns-ca.crt")
	control := httptest.NewServer(fake.Control())
	t.Cleanup(control.CloseClientConnections)

	ctx, stop := context.WithCancel(context.Background())
	server, err := mdmserver.Start(ctx, files.Config, slog.New(slog.DiscardHandler), "test")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-served)
	})
	admin := files.Manager(t, server.Addresses().Admin.String())
	hash := sha256.Sum256([]byte("TOKEN"))
	_, err = admin.PutToken(t.Context(), adminapi.Token{
		Key: "fleet/token", Hash: hex.EncodeToString(hash[:]), Platforms: []adminapi.Platform{adminapi.PlatformApple, adminapi.PlatformWindows},
	})
	must(t, err)
	return files, admin, control.URL
}

// Two Macs enrol with a real server, are woken by push over the control endpoint and tell of what they were given.
func TestDevicesObeyAServer(t *testing.T) {
	files, admin, control := startServer(t)
	ctx := t.Context()
	see := start(t, "--enroll-url", "https://"+files.Config.Host+"/enroll/TOKEN", "--ca", filepath.Join(files.Dir, "serving", "ca.crt"),
		"--count", "2", "--serial-prefix", "CMD", "--push-control", control, "--verbose")
	see("CMD000000001 enrolled", "CMD000000002 enrolled", "CMD000000001 connected", "CMD000000002 connected")
	devices, err := adminapi.All(ctx, admin.Devices)
	must(t, err)
	action := adminapi.Action{Key: "fleet/restart", SpecHash: "h", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleRestartDevice}}
	for _, d := range devices {
		action.Targets = append(action.Targets, adminapi.ActionTarget{DeviceID: d.ID, EnrollmentID: d.EnrollmentID})
	}
	_, err = admin.PutAction(ctx, action)
	must(t, err)
	see("CMD000000001 answered RestartDevice: Acknowledged", "CMD000000002 answered RestartDevice: Acknowledged", "CMD000000001 restarted", "CMD000000002 restarted")
}

// Two PCs, one by its agent and one by a password, enrol with a real server, which tells the agent to.
func TestPCsObeyAServer(t *testing.T) {
	files, admin, _ := startServer(t)
	files.Put(t, "token", []byte("TOKEN\n"))
	args := []string{"windows", "--server", "https://" + files.Config.Host, "--ca", filepath.Join(files.Dir, "serving", "ca.crt"),
		"--token-file", filepath.Join(files.Dir, "token"), "--poll-interval", "100ms"}
	seeAgent := start(t, append(args, "--way", "agent", "--serial-prefix", "A")...)
	seePerson := start(t, append(args, "--legacy-csr", "--serial-prefix", "B")...)
	seeAgent("A0001 was told by its agent to enrol", "A0001 enrolled", "A0001 answered Get ./DevDetail/Ext/Microsoft/SMBIOSSerialNumber: 200")
	seePerson("B0001 enrolled", "B0001 answered Get ./DevDetail/Ext/Microsoft/SMBIOSSerialNumber: 200")
	devices, err := adminapi.All(t.Context(), admin.Devices)
	must(t, err)
	for _, d := range devices {
		if d.Platform != adminapi.PlatformWindows || d.Token != "fleet/token" {
			t.Errorf("the server knows %+v", d)
		}
	}
	if len(devices) != 2 {
		t.Errorf("the server knows %d devices", len(devices))
	}
}

// start runs the command until the test ends. What it returns reads the printed lines until each of those wanted came, in any order.
func start(t *testing.T, args ...string) (see func(want ...string)) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	out, in := io.Pipe()
	c := command()
	c.SetArgs(args)
	c.SetOut(in)
	go func() { in.CloseWithError(c.ExecuteContext(ctx)) }()
	lines := bufio.NewScanner(out)
	t.Cleanup(func() {
		stop()
		for lines.Scan() {
			t.Logf("after the end: %s", lines.Text())
		}
		must(t, lines.Err())
	})
	return func(want ...string) {
		t.Helper()
		for len(want) > 0 && lines.Scan() {
			for i, w := range want {
				if strings.HasSuffix(lines.Text(), w) {
					want = append(want[:i:i], want[i+1:]...)
					break
				}
			}
		}
		if len(want) > 0 {
			t.Fatalf("did not see %q", want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
