package agent

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const (
	discoveryURL = "https://" + serverfiles.Host + "/api/mdm/microsoft/discovery"
	// enrolmentID is how Windows would name its enrolment in the registry.
	enrolmentID = "5B2E4F0C-3D63-4F6E-9C5D-0E8A7B1C2D3E"
	quiet       = `{"notifications":{}}`
)

// world is what one step hands to the next.
type world struct {
	*server
	*prefix
	pc      *windows.PC
	secret  string
	nodeKey string
	// said are the logs of agents that were run from a prompt.
	said []*buffer
}

func TestFromTheInstalledAgentToAnEnrolledPCAndBack(t *testing.T) {
	w := &world{server: start(t), prefix: newPrefix(t)}
	w.windows(t)
	for _, step := range []struct {
		title string
		do    func(*testing.T)
	}{
		{"the service that is installed has Windows enrol", w.install},
		{"Windows enrols with what the agent gave it, and the agent is told nothing more", w.enrol},
		{"the agent has Windows start a session when there is work", w.wake},
		{"the agent has Windows leave", w.leave},
		{"nothing remains of an agent that is uninstalled", w.uninstall},
		{"nobody has logged a secret", w.keepSecrets},
	} {
		if !t.Run(step.title, step.do) {
			t.Fatalf("the event log:\n%s\nthe server's log:\n%s", w.events, w.log)
		}
	}
}

// windows puts the agent and what it is installed with on drive C.
func (w *world) windows(t *testing.T) {
	w.pc, w.secret = w.server.pc(t), w.token(t)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", w.path("agent.exe"), "./cmd/kubemdm-agent")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the agent: %v\n%s", err, out)
	}
	w.write(t, []byte(w.secret+"\r\n"), "secret.txt")
	w.write(t, w.WebCA.CertPEM(), "ca.pem")
}

func (w *world) install(t *testing.T) {
	for range 2 { // the second time over the first
		w.run(t, `C:\agent.exe`, "install", "--server", "https://"+w.addrs.Devices.String(), "--secret-file", `C:\secret.txt`, "--ca-file", `C:\ca.pem`)
	}
	await(t, "the agent to have Windows enrol", func() bool { return len(w.calls(t)) > 0 })
	call := w.calls(t)[0]
	if len(call) != 4 || !slices.Equal(call[:3], []string{"RegisterDeviceWithManagement", "", discoveryURL}) {
		t.Fatalf("Windows was called as %q", call)
	}
	var token struct {
		Type    int
		Payload struct {
			NodeKey   string  `json:"orbit_node_key"`
			AuthToken *string `json:"auth_token"`
		}
	}
	if err := json.Unmarshal([]byte(call[3]), &token); err != nil {
		t.Fatal(err)
	}
	if p := token.Payload; token.Type != 1 || p.NodeKey == "" || p.AuthToken == nil || *p.AuthToken != "" {
		t.Fatalf("the access token is %+v", token)
	}
	w.nodeKey = token.Payload.NodeKey
	w.status(t, "running", "enrolled", "not enrolled")
	w.keepsFiles(t)
}

// keepsFiles looks at what Wine makes of the access rights of files that the system alone may read.
func (w *world) keepsFiles(t *testing.T) {
	for _, name := range []string{"enroll-secret", "node-key"} {
		info, err := os.Stat(w.path("ProgramData", "KubeMDM", name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode()&0o007 != 0 {
			t.Errorf("%s: %v", name, info.Mode())
		}
	}
}

// status runs the command of that name.
func (w *world) status(t *testing.T, service, agent, windows string) {
	t.Helper()
	got := strings.Fields(w.run(t, `C:\agent.exe`, "status"))
	want := strings.Fields("Service: " + service + " Server: https://" + w.addrs.Devices.String() + " Agent: " + agent + " Windows: " + windows)
	if !slices.Equal(got, want) {
		t.Errorf("status %q, want %q", got, want)
	}
}

func (w *world) enrol(t *testing.T) {
	call := w.calls(t)[0]
	if err := w.pc.Register(t.Context(), call[2], call[3]); err != nil {
		t.Fatal(err)
	}
	w.session(t)
	if d := w.device(t); d.State != adminapi.DeviceEnrolled || d.Platform != adminapi.PlatformWindows || d.SerialNumber != w.pc.Hardware().SerialNumber {
		t.Errorf("the server knows %+v", d)
	}
	await(t, "the notification to go", func() bool { return w.told(t, w.nodeKey) == quiet })
	w.set(t, `HKLM\SOFTWARE\Microsoft\Enrollments\`+enrolmentID, "ProviderID", adminapi.WindowsProviderID)
	w.status(t, "running", "enrolled", "enrolled")
}

func (w *world) session(t *testing.T) {
	t.Helper()
	if _, err := w.pc.Session(t.Context(), windows.SessionOptions{}); err != nil {
		t.Fatal(err)
	}
}

// prompt runs the agent from a prompt, after its service was stopped.
func (w *world) prompt(t *testing.T) (log *buffer, stop func()) {
	t.Helper()
	log, stop = w.start(t, `C:\agent.exe`, "run", "--poll-every", "200ms")
	w.said = append(w.said, log)
	return log, stop
}

func (w *world) wake(t *testing.T) {
	w.run(t, "net.exe", "stop", "KubeMDMAgent")
	w.status(t, "stopped", "enrolled", "enrolled")
	d := w.device(t)
	if err := w.Push(t.Context(), []string{d.ID}); err != nil {
		t.Fatal(err)
	}
	before := len(w.calls(t))
	_, stop := w.prompt(t)
	await(t, "a session", func() bool { return len(w.calls(t)) > before })
	stop()
	if got, want := w.calls(t)[before], []string{"deviceenroller", "/o", enrolmentID, "/c"}; !slices.Equal(got, want) {
		t.Errorf("Windows was called as %q, want %q", got, want)
	}
	w.session(t)
	await(t, "the notification to go", func() bool { return w.told(t, w.nodeKey) == quiet })
}

// leave has Windows refuse at first.
func (w *world) leave(t *testing.T) {
	d := w.device(t)
	intent := adminapi.DeviceIntent{DeviceID: d.ID, EnrollmentID: d.EnrollmentID, Intent: adminapi.IntentUnenroll}
	if _, err := w.PutIntents(t.Context(), adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{intent}}); err != nil {
		t.Fatal(err)
	}
	w.write(t, []byte("8018000B"), "agentstub", "result")
	log, stop := w.prompt(t)
	await(t, "a failure in words", func() bool { return strings.Contains(log.String(), "0x8018000B: Windows is not enrolled") })
	stop()
	if err := os.Remove(w.path("agentstub", "result")); err != nil {
		t.Fatal(err)
	}

	before := len(w.calls(t))
	log, stop = w.prompt(t)
	await(t, "the agent to have Windows leave", func() bool { return strings.Contains(log.String(), "Windows has done") })
	if got, want := w.calls(t)[before:], [][]string{{"UnregisterDeviceWithManagement", "NULL"}}; !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("Windows was called as %q, want %q", got, want)
	}
	if err := w.pc.Unenroll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := w.device(t); d.State != adminapi.DeviceEnded || d.EndReason != adminapi.EndUnenrolled {
		t.Errorf("the server knows %+v", d)
	}
	await(t, "the notification to go", func() bool { return !strings.Contains(w.told(t, w.nodeKey), "unenrollment") })
	stop()
}

func (w *world) uninstall(t *testing.T) {
	w.run(t, `C:\agent.exe`, "uninstall")
	for _, folder := range []string{"ProgramData", "Program Files"} {
		if left, err := filepath.Glob(w.path(folder, "KubeMDM*")); len(left) > 0 || err != nil {
			t.Errorf("left behind: %q, %v", left, err)
		}
	}
	if out := w.run(t, `C:\agent.exe`, "status"); !strings.Contains(out, "not installed") {
		t.Errorf("status:\n%s", out)
	}
}

func (w *world) keepSecrets(t *testing.T) {
	for _, log := range append(w.said, w.log, w.events) {
		if text := log.String(); text == "" || strings.Contains(text, w.secret) || strings.Contains(text, w.nodeKey) {
			t.Errorf("a log says nothing, or a secret:\n%s", text)
		}
	}
}
