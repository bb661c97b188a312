package chaos

import (
	"bytes"
	"net/http"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// limitFiles bounds the size of the files that the server may write, in bytes: with 0 every write to its store fails, as on a full disk.
func (p *process) limitFiles(t *testing.T, size uint64) {
	t.Helper()
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
		t.Fatal(err)
	}
}

// On a full disk devices and the manager are asked to come back, what needs no space still works, and nothing is lost once there is space again.
func TestAFullDiskIsAnOutageAndNotALoss(t *testing.T) {
	p := newProcess(t)
	ctx := t.Context()
	mac, err := devicesim.New(devicesim.Options{
		Hardware: devicesim.Mac("DISK", 1), Client: p.deviceHTTP(), Roots: p.WebCA.Pool(), Key: devicesim.NewKeyPool(1).Key,
	})
	must(t, err)
	must(t, mac.Enroll(ctx, p.enrollURL(t, "chaos/first")))
	late := p.enrollURL(t, "chaos/late")
	devices, err := adminapi.All(ctx, p.admin.Devices)
	must(t, err)
	info := adminapi.Action{Key: "chaos/info", SpecHash: "1", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation},
		Targets: []adminapi.ActionTarget{{DeviceID: devices[0].ID, EnrollmentID: devices[0].EnrollmentID}}}
	_, err = p.admin.PutAction(ctx, info)
	must(t, err)

	p.limitFiles(t, 0)
	idle, err := mac.PrepareIdle()
	must(t, err)
	p.wantPatience(t, http.MethodPut, idle)
	p.wantPatience(t, http.MethodGet, devicesim.Message{URL: late})
	info.Key = "chaos/more"
	if _, err := p.admin.PutAction(ctx, info); adminapi.CodeOf(err) != adminapi.CodeUnavailable {
		t.Errorf("the manager is answered %v", err)
	}
	if all, err := adminapi.All(ctx, p.admin.Devices); err != nil || len(all) != 1 || all[0].State != adminapi.DeviceEnrolled {
		t.Errorf("reading what is stored: %+v, %v", all, err)
	}
	if !mac.Enrolled() {
		t.Error("the device left management")
	}

	p.limitFiles(t, unix.RLIM_INFINITY)
	must(t, mac.Idle(ctx))
	result, err := p.admin.ActionResult(ctx, "chaos/info", devices[0].ID)
	if err != nil || result.State != adminapi.TargetSucceeded {
		t.Errorf("the action of before: %+v, %v", result, err)
	}
	_, err = p.admin.PutAction(ctx, info)
	must(t, err)
	p.kill(t)
	p.start(t)
	must(t, mac.Idle(ctx))
	if result, err := p.admin.ActionResult(ctx, "chaos/more", devices[0].ID); err != nil || result.State != adminapi.TargetSucceeded {
		t.Errorf("the action of after: %+v, %v", result, err)
	}
}

// wantPatience sends a device's request and expects to be told to come back.
func (p *process) wantPatience(t *testing.T, method string, m devicesim.Message) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, m.URL, bytes.NewReader(m.Body))
	must(t, err)
	r.Header.Set("Content-Type", m.ContentType)
	r.Header.Set("Mdm-Signature", m.Signature)
	res, err := p.deviceHTTP().Do(r)
	must(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s: %s, Retry-After %q; want 503 and when to come back", method, r.URL.Path, res.Status, res.Header.Get("Retry-After"))
	}
}
