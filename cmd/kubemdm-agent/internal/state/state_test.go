package state_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/state"
)

func folder(t *testing.T) state.Folder {
	t.Helper()
	f := state.Folder(filepath.Join(t.TempDir(), "KubeMDM"))
	if err := f.Create(); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWhatIsKeptIsReadAgain(t *testing.T) {
	f := folder(t)
	if _, err := f.Config(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("configuration of a new folder: %v", err)
	}
	if key, err := f.NodeKey(); key != "" || err != nil || f.HasNodeKey() {
		t.Errorf("node key of a new folder: %q, %v", key, err)
	}
	want := state.Config{Server: "https://mdm.example.com", CA: "PEM"}
	for range 2 { // the second time over what is there
		fatal(t, f.SetConfig(want), f.SetSecret("s3cret"), f.SetNodeKey("key"), f.Create())
	}
	config, err := f.Config()
	secret, err2 := f.Secret()
	key, err3 := f.NodeKey()
	fatal(t, err, err2, err3)
	if config != want || secret != "s3cret" || key != "key" || !f.HasNodeKey() {
		t.Errorf("%+v, %q, %q", config, secret, key)
	}
	fatal(t, f.ForgetNodeKey(), f.ForgetNodeKey())
	if f.HasNodeKey() {
		t.Error("the node key is still there")
	}
	fatal(t, f.Remove())
	if _, err := os.Stat(string(f)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestOnlyTheOwnerReadsSecrets(t *testing.T) {
	f := folder(t)
	fatal(t, f.SetSecret("s3cret"), f.SetNodeKey("key"))
	entries, err := os.ReadDir(string(f))
	fatal(t, err)
	if len(entries) != 2 {
		t.Errorf("files: %v", entries)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		fatal(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", entry.Name(), info.Mode())
		}
	}
}

// A node key goes to the server that gave it and to nobody else.
func TestAnotherServerDoesNotGetTheNodeKey(t *testing.T) {
	f := folder(t)
	fatal(t, f.SetConfig(state.Config{Server: "https://a"}), f.SetNodeKey("key"))
	fatal(t, f.SetConfig(state.Config{Server: "https://a", CA: "PEM"}))
	if !f.HasNodeKey() {
		t.Error("the same server does not get it")
	}
	fatal(t, f.SetConfig(state.Config{Server: "https://b"}))
	if f.HasNodeKey() {
		t.Error("the other server gets it")
	}
}

func TestCleanSecret(t *testing.T) {
	for content, want := range map[string]string{
		"s3cret":                    "s3cret",
		" s3cret\r\n":               "s3cret",
		"\xef\xbb\xbfs3cret\r\n":    "s3cret",
		"":                          "",
		"\n":                        "",
		"two\nlines":                "",
		"s\x003\x00c\x00":           "",
		strings.Repeat("s", 1<<13):  "",
		"one\r\none more\r\n\r\n\r": "",
	} {
		got, err := state.CleanSecret([]byte(content))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.20q: %q, %v", content, got, err)
		}
	}
}

func TestRoots(t *testing.T) {
	if roots, err := (state.Config{}).Roots(); roots != nil || err != nil {
		t.Errorf("%v, %v", roots, err)
	}
	if _, err := (state.Config{CA: "no PEM"}).Roots(); err == nil {
		t.Error("a CA file without a certificate is accepted")
	}
}

func fatal(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
