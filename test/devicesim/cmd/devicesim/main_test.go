package main

import (
	"bytes"
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
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "enroll-url"},
		{[]string{"--enroll-url", "https://x", "--kind", "Newton"}, "Newton"},
		{[]string{"--enroll-url", "https://x", "--ca", "/nowhere"}, "--ca"},
		{[]string{"--enroll-url", "https://x", "--ca", empty}, "no PEM"},
		{[]string{"--enroll-url", "https://x", "--push-control", "x"}, "not a URL"},
	} {
		if _, err := execute(t, test.args...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v", test.args, err)
		}
	}
}
