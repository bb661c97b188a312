package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubemdm/kubemdm/internal/agentapi"
)

// machine is a platform without Windows. calls are what changed it.
type machine struct {
	data, programs string
	common         bool // not elevated
	state          string
	enrolled       bool
	registered     chan [2]string
	calls          []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	return &machine{
		data: filepath.Join(dir, "data"), programs: filepath.Join(dir, "programs"), state: "not installed", registered: make(chan [2]string, 1),
	}
}

func (m *machine) call(format string, args ...any) error {
	m.calls = append(m.calls, fmt.Sprintf(format, args...))
	return nil
}

func (m *machine) Register(url, token string) error {
	m.registered <- [2]string{url, token}
	return nil
}
func (m *machine) Unregister() error   { return errors.New("nobody asked for it") }
func (m *machine) StartSession() error { return errors.New("nobody asked for it") }

func (m *machine) Machine() (agentapi.EnrollRequest, error) {
	return agentapi.EnrollRequest{HardwareUUID: "U", Platform: agentapi.PlatformWindows}, nil
}
func (m *machine) Enrolled() (bool, error) { return m.enrolled, nil }

func (m *machine) InstallService(executable string, args ...string) error {
	m.state = "running"
	return m.call("install %s %v", filepath.Base(executable), args)
}
func (m *machine) StopService() error            { return m.call("stop") }
func (m *machine) RemoveService() error          { return m.call("remove") }
func (m *machine) ServiceState() (string, error) { return m.state, nil }
func (m *machine) RunService(run func(context.Context, *slog.Logger) error) error {
	return m.call("run as a service")
}

func (m *machine) DataFolder() (string, error)    { return m.data, nil }
func (m *machine) ProgramFolder() (string, error) { return m.programs, nil }
func (m *machine) Elevated() bool                 { return !m.common }
func (m *machine) RemoveLater(path string) error {
	return m.call("remove %s later", filepath.Base(path))
}

// run runs a command line and returns what it prints.
func (m *machine) run(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	c := command(func() (platform, error) { return m, nil })
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&out)
	err := c.ExecuteContext(ctx)
	return out.String(), err
}

// server answers an agent as a server does that wants its PC to enrol. It returns its address and a file of its CA.
func server(t *testing.T) (address, caFile string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, map[string]string{
			agentapi.PathEnroll: `{"orbit_node_key":"key"}`,
			agentapi.PathConfig: `{"notifications":{"needs_programmatic_windows_mdm_enrollment":true,"windows_mdm_discovery_endpoint":"https://discovery"}}`,
		}[r.URL.Path])
	}))
	t.Cleanup(s.Close)
	return s.URL, file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
}

// file returns a file with this content.
func file(t *testing.T, content string) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
