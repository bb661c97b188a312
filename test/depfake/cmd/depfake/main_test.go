package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/depfake"
)

// start runs the program until the test ends and returns where it listens.
func start(t *testing.T, args ...string) (service, control string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	c := command()
	c.SetOut(in)
	c.SetArgs(append([]string{"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"}, args...))
	done := make(chan error, 1)
	go func() {
		err := c.ExecuteContext(ctx)
		in.CloseWithError(err)
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		if url, found := strings.CutPrefix(lines.Text(), "service "); found {
			service = url
		}
		if url, found := strings.CutPrefix(lines.Text(), "control "); found {
			control = url
		}
	}
	return service, control
}

func get(t *testing.T, client *http.Client, url string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, body
}

// trusting returns a client that trusts the CA.
func trusting(t *testing.T, ca []byte) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("CA %q", ca)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: 10 * time.Second, Transport: transport}
}

func TestTheProgramServes(t *testing.T) {
	service, control := start(t)
	plain := &http.Client{Timeout: 10 * time.Second}
	_, ca := get(t, plain, control+"/ca.pem")
	if status, body := get(t, trusting(t, ca), service+"/account"); status != http.StatusBadRequest || string(body) != `"USER_AGENT_INVALID"` {
		t.Errorf("%d %s", status, body)
	}
	status, body := get(t, plain, control+"/answers")
	if status != http.StatusOK || !strings.Contains(string(body), `"GET /account 400 USER_AGENT_INVALID":1`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestACertificateOfAFolder(t *testing.T) {
	ca, pair, err := depfake.Certificates("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"ca.crt": ca, "tls.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
		"tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	service, control := start(t, "--tls-dir", dir)
	if status, _ := get(t, trusting(t, ca), service+"/account"); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
	if _, served := get(t, &http.Client{Timeout: 10 * time.Second}, control+"/ca.pem"); string(served) != string(ca) {
		t.Errorf("CA %q", served)
	}
}
