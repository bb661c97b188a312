package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/cmd/kubemdm-agent/internal/state"
)

const address = "https://mdm.example.com"

// installed is a machine with an agent.
func installed(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	if _, err := m.run(t.Context(), "install", "--server", address+"/", "--secret-file", file(t, "s3cret\r\n")); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestInstall(t *testing.T) {
	m := installed(t)
	if want := []string{"stop", "install kubemdm-agent.exe [run --service]"}; !slices.Equal(m.calls, want) {
		t.Errorf("calls %q, want %q", m.calls, want)
	}
	folder := state.Folder(m.data)
	config, err := folder.Config()
	secret, err2 := folder.Secret()
	if err := errors.Join(err, err2); err != nil || config != (state.Config{Server: address}) || secret != "s3cret" {
		t.Errorf("%+v, %q, %v", config, secret, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(self)
	got, err2 := os.ReadFile(filepath.Join(m.programs, "kubemdm-agent.exe"))
	if err := errors.Join(err, err2); err != nil || !slices.Equal(got, want) {
		t.Errorf("the installed program has %d bytes, this one %d: %v", len(got), len(want), err)
	}
}

func TestInstallAgainKeepsTheNodeKey(t *testing.T) {
	m := installed(t)
	folder := state.Folder(m.data)
	for _, server := range []string{address, "https://other.example.com"} { // in this order: a key is of the server that was installed before
		if err := folder.SetNodeKey("key"); err != nil {
			t.Fatal(err)
		}
		if _, err := m.run(t.Context(), "install", "--server", server, "--secret-file", file(t, "another")); err != nil {
			t.Fatal(err)
		}
		if kept := folder.HasNodeKey(); kept != (server == address) {
			t.Errorf("%s: node key kept: %v", server, kept)
		}
	}
}

func TestInstallRefusesBeforeItChangesAnything(t *testing.T) {
	good := file(t, "s3cret")
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"no server":     {[]string{"--secret-file", good}, `"server" not set`},
		"no secret":     {[]string{"--server", address}, `"secret-file" not set`},
		"plain HTTP":    {[]string{"--server", "http://mdm.example.com", "--secret-file", good}, "no address of a server"},
		"no such file":  {[]string{"--server", address, "--secret-file", good + "x"}, "no such file"},
		"empty secret":  {[]string{"--server", address, "--secret-file", file(t, "\r\n")}, "one line"},
		"CA without CA": {[]string{"--server", address, "--secret-file", good, "--ca-file", good}, "no PEM certificate"},
		"an argument":   {[]string{"--server", address, "--secret-file", good, "s3cret"}, "unknown command"},
	} {
		m := newMachine(t)
		out, err := m.run(t.Context(), append([]string{"install"}, tc.args...)...)
		if err == nil || !strings.Contains(err.Error(), tc.says) || len(m.calls) > 0 {
			t.Errorf("%s: %v, calls %q", name, err, m.calls)
		}
		if _, err := os.Stat(m.data); !errors.Is(err, fs.ErrNotExist) || strings.Contains(out, "s3cret") {
			t.Errorf("%s: %v, printed %q", name, err, out)
		}
	}
}

func TestOnlyAdministratorsInstall(t *testing.T) {
	for _, args := range [][]string{{"install", "--server", address, "--secret-file", file(t, "s3cret")}, {"uninstall"}, {"status"}} {
		m := newMachine(t)
		m.common = true
		if _, err := m.run(t.Context(), args...); !errors.Is(err, errNotElevated) || len(m.calls) > 0 {
			t.Errorf("%q: %v, calls %q", args, err, m.calls)
		}
	}
}

func TestUninstallLeavesNothing(t *testing.T) {
	m := installed(t)
	for range 2 { // the second time without an agent
		m.calls = nil
		if _, err := m.run(t.Context(), "uninstall"); err != nil {
			t.Fatal(err)
		}
		if want := []string{"stop", "remove"}; !slices.Equal(m.calls, want) {
			t.Errorf("calls %q, want %q", m.calls, want)
		}
		for _, folder := range []string{m.data, m.programs} {
			if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there: %v", folder, err)
			}
		}
	}
}

func TestAProgramThatRunsIsRemovedLater(t *testing.T) {
	m := installed(t)
	if err := os.WriteFile(filepath.Join(m.programs, "in-the-way"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.run(t.Context(), "uninstall"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"remove kubemdm-agent.exe later", "remove programs later"}; !slices.Equal(m.calls[len(m.calls)-2:], want) {
		t.Errorf("calls %q, want %q", m.calls, want)
	}
}

func TestStatus(t *testing.T) {
	m := newMachine(t)
	check := func(want string) {
		t.Helper()
		if out, err := m.run(t.Context(), "status"); err != nil || out != want {
			t.Errorf("%v:\n%s\nwant:\n%s", err, out, want)
		}
	}
	check("Service:  not installed\nServer:   none\nAgent:    not enrolled\nWindows:  not enrolled\n")
	m = installed(t)
	m.enrolled = true
	if err := state.Folder(m.data).SetNodeKey("key"); err != nil {
		t.Fatal(err)
	}
	check("Service:  running\nServer:   " + address + "\nAgent:    enrolled\nWindows:  enrolled\n")
}

func TestRunHasWindowsEnrol(t *testing.T) {
	url, ca := server(t)
	m := newMachine(t)
	if _, err := m.run(t.Context(), "install", "--server", url, "--secret-file", file(t, "s3cret"), "--ca-file", ca); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var call [2]string
	go func() {
		call = <-m.registered
		stop()
	}()
	out, err := m.run(ctx, "run")
	if err != nil {
		t.Fatal(err)
	}
	if want := [2]string{"https://discovery", `{"type":1,"payload":{"orbit_node_key":"key","auth_token":""}}`}; call != want {
		t.Errorf("Windows was called with %q, want %q", call, want)
	}
	if !strings.Contains(out, "the agent is enrolled") || strings.Contains(out, "s3cret") {
		t.Errorf("log:\n%s", out)
	}
	if !state.Folder(m.data).HasNodeKey() {
		t.Error("the node key is not kept")
	}
}

func TestRunAsAService(t *testing.T) {
	m := installed(t)
	if _, err := m.run(t.Context(), "run", "--service"); err != nil || m.calls[len(m.calls)-1] != "run as a service" {
		t.Errorf("%v, calls %q", err, m.calls)
	}
}

func TestRunWithoutAnInstallation(t *testing.T) {
	if _, err := newMachine(t).run(t.Context(), "run"); !errors.Is(err, errNotInstalled) {
		t.Error(err)
	}
}

func TestEveryCommandShowsHowItIsUsed(t *testing.T) {
	for _, c := range command(newPlatform).Commands() {
		if !strings.Contains(c.Example, "kubemdm-agent "+c.Name()) {
			t.Errorf("%s has no example", c.Name())
		}
	}
	m := newMachine(t)
	for args, want := range map[string]string{"version": "dev\n", "completion powershell": "Register-ArgumentCompleter", "install --help": "--secret-file"} {
		if out, err := m.run(t.Context(), strings.Fields(args)...); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}
