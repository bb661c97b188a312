package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := command()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&out)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestHelpHasAnExample(t *testing.T) {
	out, err := execute(t, "--help")
	if err != nil || !strings.Contains(out, "devicesim --enroll-url https://") {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestBadFlags(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(empty, nil, 0o600))
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "enroll-url"},
		{[]string{"--enroll-url", "https://x", "--kind", "Newton"}, "Newton"},
		{[]string{"--enroll-url", "https://x", "--ca", "/nowhere"}, "--ca"},
		{[]string{"--enroll-url", "https://x", "--ca", empty}, "no PEM"},
		{[]string{"--enroll-url", "https://x", "--push-control", "x"}, "not a URL"},
		{[]string{"--enroll-url", "https://x", "--ade-activation", "https://x/{serial}", "--ade-ca-dir", "."}, "none of the others"},
		{[]string{"--ade-activation", "https://x/{serial}"}, "ade-ca-dir"},
		{[]string{"--ade-activation", "https://x", "--ade-ca-dir", "."}, "{serial}"},
		{[]string{"--ade-activation", "https://x/{serial}", "--ade-ca-dir", "/nowhere"}, "--ade-ca-dir"},
		{[]string{"--ade-activation", "https://x/{serial}", "--ade-ca-dir", deviceCA(t), "--ade-user", "x"}, "ade-password-file"},
		{[]string{"--ade-activation", "https://x/{serial}", "--ade-ca-dir", deviceCA(t), "--ade-user", "x", "--ade-password-file", "/nowhere"}, "--ade-password-file"},
		{[]string{"windows"}, "server"},
		{[]string{"windows", "--server", "http://x", "--token-file", empty}, "not https"},
		{[]string{"windows", "--server", "https://x", "--token-file", empty, "--way", "post"}, "post"},
		{[]string{"windows", "--server", "https://x", "--token-file", "/nowhere"}, "--token-file"},
		{[]string{"windows", "--server", "https://x", "--token-file", empty, "--ca", empty}, "no PEM"},
	} {
		if _, err := execute(t, test.args...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v", test.args, err)
		}
	}
}

// A device that cannot enrol says so without the token in the URL, tries again, and stops when it is told to.
func TestRunTriesUntilItIsStopped(t *testing.T) {
	tries := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		select {
		case tries <- struct{}{}:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	c := command()
	c.SetArgs([]string{"--enroll-url", server.URL + "/enroll/TOKEN", "--kind", "iPhone", "--serial-prefix", "CMD", "--first", "7", "--retry-interval", "1ms"})
	c.SetOut(in)
	go func() {
		<-tries
		<-tries
		stop()
	}()
	go func() { in.CloseWithError(c.ExecuteContext(ctx)) }()
	printed, err := io.ReadAll(out)
	if err != nil {
		t.Errorf("stopped: %v", err)
	}
	if text := string(printed); !strings.Contains(text, "CMD000000007 failed to enrol") || !strings.Contains(text, "503") || strings.Contains(text, "TOKEN") {
		t.Errorf("printed:\n%s", text)
	}
}
