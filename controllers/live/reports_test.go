package live_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

func mustParse(t *testing.T, selector string) labels.Selector {
	t.Helper()
	s, err := labels.Parse(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) read(resource, name string) (runtime.Object, error) {
	return w.resources[resource].(rest.Getter).Get(w.ctx(), name, &metav1.GetOptions{})
}

func (w *world) post(resource string, obj runtime.Object, opts metav1.CreateOptions) (runtime.Object, error) {
	return w.resources[resource].(rest.Creater).Create(w.ctx(), obj, rest.ValidateAllObjectFunc, &opts)
}

func (w *world) profile(name string) {
	w.create(&mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.ProfileSpec{ServerRef: mdmv1alpha1.LocalReference{Name: "main"}}})
}

// Whoever is behind is told from who is behind for longer, and why.
func TestProfileReportSortsAndCuts(t *testing.T) {
	w := newWorld(t)
	w.device("anna", "d0001")
	w.profile("wifi")
	var states []adminapi.ArtifactState
	add := func(id, channel string, outcome adminapi.ArtifactOutcome, since time.Time) {
		states = append(states, adminapi.ArtifactState{Artifact: "fleet/wifi", DeviceID: id, Channel: channel, Outcome: outcome, Since: since, Responding: true})
	}
	for i := range 2500 {
		id := fmt.Sprintf("d%04d", i)
		add(id, id, adminapi.ArtifactPending, noon.Add(time.Duration(i)*time.Second))
	}
	add("bad", "bad", adminapi.ArtifactInstalled, noon)
	add("bad", "bad:user", adminapi.ArtifactFailed, noon.Add(time.Hour))
	add("good", "good", adminapi.ArtifactInstalled, noon)
	add("gone", "gone", adminapi.ArtifactRemoving, noon)
	w.server("main").on("GET "+adminapi.PathArtifacts+"/fleet/wifi/states", func(r *http.Request) any {
		from := 0
		_, _ = fmt.Sscan(r.URL.Query().Get(adminapi.QueryAfter), &from)
		page := adminapi.Page[adminapi.ArtifactState]{Items: states[from:min(len(states), from+adminapi.MaxPage)]}
		if from += len(page.Items); from < len(states) {
			page.Next = fmt.Sprint(from)
		}
		return page
	})
	o, err := w.read("profilereports", "wifi")
	w.must(err)
	r := o.(*livev1alpha1.ProfileReport)
	if r.Targeted != 2502 || r.Installed != 1 || r.Failed != 1 || r.Pending != 2500 || len(r.Behind) != 1000 || r.Truncated != 1501 {
		t.Errorf("targeted %d, installed %d, failed %d, pending %d, behind %d, truncated %d", r.Targeted, r.Installed, r.Failed, r.Pending, len(r.Behind), r.Truncated)
	}
	if b := r.Behind[0]; b.DeviceID != "bad" || b.User != "bad:user" {
		t.Errorf("first %+v", b)
	}
	if r.Behind[1].DeviceID != "d0000" || r.Behind[2].Device != "anna" || r.Behind[2].SerialNumber != "Sd0001" || r.Behind[999].DeviceID != "d0998" {
		t.Errorf("then %s, %q and at last %s", r.Behind[1].DeviceID, r.Behind[2].Device, r.Behind[999].DeviceID)
	}
}

func TestReportSaysWhyInWords(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		state adminapi.ArtifactState
		want  string
	}{
		"installed":   {adminapi.ArtifactState{Outcome: adminapi.ArtifactInstalled, Responding: true, Message: "x"}, ""},
		"failed":      {adminapi.ArtifactState{Outcome: adminapi.ArtifactFailed, Message: "no Wi-Fi here"}, "the device refused it: no Wi-Fi here"},
		"silent":      {adminapi.ArtifactState{Outcome: adminapi.ArtifactSent, LastSeen: noon}, "the device is not responding since 2026-07-01T12:00:00Z"},
		"never seen":  {adminapi.ArtifactState{Outcome: adminapi.ArtifactPending}, "it has never called"},
		"busy":        {adminapi.ArtifactState{Outcome: adminapi.ArtifactNotNow, Responding: true, NextAttempt: later}, "next attempt not before " + later.UTC().Format(time.RFC3339)},
		"sent":        {adminapi.ArtifactState{Outcome: adminapi.ArtifactSent, Responding: true, NextAttempt: noon}, "delivered, no answer yet"},
		"pending":     {adminapi.ArtifactState{Outcome: adminapi.ArtifactPending, Responding: true}, "waits for the device to call"},
		"tried":       {adminapi.ArtifactState{Outcome: adminapi.ArtifactPending, Responding: true, Attempts: 2}, "delivered 2 times without an answer"},
		"removing":    {adminapi.ArtifactState{Outcome: adminapi.ArtifactRemoving, Responding: true}, "is removed when the device calls"},
		"no channel":  {adminapi.ArtifactState{Outcome: adminapi.ArtifactPending, Channel: "-"}, "has no channel for it yet"},
		"says little": {adminapi.ArtifactState{Outcome: adminapi.ArtifactFailed}, "did not say why"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.device("anna", "A")
			c.state.Artifact, c.state.DeviceID = "fleet/wifi", "A"
			switch c.state.Channel {
			case "-":
				c.state.Channel = ""
			default:
				c.state.Channel = "A"
			}
			w.server("main").on("POST "+adminapi.PathDeviceDetail, func(*http.Request) any {
				return adminapi.DeviceDetail{Device: adminapi.Device{ID: "A", SerialNumber: "SA"}, Artifacts: []adminapi.ArtifactState{c.state}}
			})
			o, err := w.read("devicereports", "anna")
			w.must(err)
			if got := o.(*livev1alpha1.DeviceReport).Profiles[0].Message; !strings.Contains(got, c.want) || c.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestReportOfAnotherDeviceIsNone(t *testing.T) {
	w := newWorld(t)
	w.device("anna", "A")
	w.server("main").on("POST "+adminapi.PathDeviceDetail, func(*http.Request) any {
		return adminapi.DeviceDetail{Device: adminapi.Device{ID: "A", SerialNumber: "another"}}
	})
	if _, err := w.read("devicereports", "anna"); !apierrors.IsConflict(err) {
		t.Errorf("error %v", err)
	}
}

func TestAnsweringAndRefusingServers(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(calls int) any
		is     func(error) bool
		words  string
	}{
		"out of disk":     {func(int) any { return &adminapi.Error{Code: adminapi.CodeUnavailable, Message: "disk full"} }, apierrors.IsServiceUnavailable, "disk full"},
		"another manager": {func(int) any { return &adminapi.Error{Code: adminapi.CodeAnotherManager} }, apierrors.IsConflict, "another manager"},
		"new leader": {func(calls int) any {
			if calls == 1 {
				return &adminapi.Error{Code: adminapi.CodeAnotherManager}
			}
			return struct{}{}
		}, func(err error) bool { return err == nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.device("anna", "A")
			main := w.server("main")
			main.on("POST "+adminapi.PathDeviceDetail, func(*http.Request) any {
				return adminapi.DeviceDetail{Device: adminapi.Device{ID: "A", State: adminapi.DeviceEnrolled}}
			})
			calls := 0
			main.on("POST "+adminapi.PathPush, func(r *http.Request) any {
				calls++
				w.epoch.Add(1) // the leader has changed
				if got := r.Header.Get(adminapi.HeaderLeaseEpoch); got != fmt.Sprint(6+calls) {
					t.Errorf("call %d has the epoch %s", calls, got)
				}
				return c.answer(calls)
			})
			_, err := w.resources["devicereports/push"].(rest.NamedCreater).Create(w.ctx(), "anna", &livev1alpha1.DevicePush{}, nil, &metav1.CreateOptions{})
			if !c.is(err) || err != nil && !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.device("anna", "A")
	if _, err := w.read("devicereports", "anna"); !apierrors.IsNotFound(err) || !strings.Contains(err.Error(), `mdmservers.mdm.kubemdm.io "main" not found`) {
		t.Errorf("without an MDMServer: %v", err)
	}
	w.create(&mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Name: "main"}})
	if _, err := w.read("devicereports", "anna"); !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "not set up yet") {
		t.Errorf("without a Secret: %v", err)
	}
}

func TestImportIsHandedOn(t *testing.T) {
	w := newWorld(t)
	var got adminapi.ImportBatch
	w.server("main").on("POST "+adminapi.PathImport, func(r *http.Request) any {
		_ = json.NewDecoder(r.Body).Decode(&got)
		return adminapi.ImportReply{Results: []adminapi.ImportResult{{DeviceID: "A", Outcome: adminapi.ImportRefused, Message: "why"}}}
	})
	at := metav1.NewTime(noon)
	in := &livev1alpha1.EnrollmentImport{Server: "main", Import: "old", Enrollments: []livev1alpha1.ImportedEnrollment{{
		DeviceID: "A", Kind: "Device", SerialNumber: "SA", EnrolledAt: &at, AccessRights: 8191, UnlockToken: []byte("secret"),
		Channels: []livev1alpha1.ImportedChannel{{ID: "A", PushToken: []byte{1}, PushMagic: "m", TokenAt: &at}},
	}}}
	o, err := w.post("enrollmentimports", in, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	w.must(err)
	e := got.Enrollments[0]
	if !got.DryRun || got.Import != "old" || e.Device.ID != "A" || e.Device.Kind != adminapi.EnrollmentDevice || !e.Device.EnrolledAt.Equal(noon) || e.AccessRights != 8191 ||
		string(e.UnlockToken) != "secret" || e.Channels[0].PushMagic != "m" || !e.Channels[0].TokenAt.Equal(noon) {
		t.Errorf("handed on %+v", got)
	}
	out := o.(*livev1alpha1.EnrollmentImport)
	if len(out.Enrollments) != 0 || len(out.Results) != 1 || out.Results[0] != (livev1alpha1.ImportResult{DeviceID: "A", Outcome: "Refused", Message: "why"}) {
		t.Errorf("answer %+v", out)
	}
}

func TestPINIsSearchedAtEveryServer(t *testing.T) {
	w := newWorld(t)
	w.allowed["reveal"] = true
	w.device("anna", "A")
	down, main := w.server("down"), w.server("main")
	down.stop(true)
	path := adminapi.PathActions + "/fleet/lost/"
	main.on("GET "+path+adminapi.PathActionResults, func(*http.Request) any {
		return adminapi.Page[adminapi.ActionResult]{Items: []adminapi.ActionResult{{DeviceID: "A", HasPIN: true, DeliveredAt: noon}, {DeviceID: "B", HasPIN: true}, {DeviceID: "C", DeliveredAt: noon}}}
	})
	main.on("POST "+path+adminapi.PathActionResult, func(*http.Request) any { return adminapi.ActionResult{DeviceID: "A", PIN: "123456"} })
	o, err := w.read("devicepins", "lost")
	w.must(err)
	if out := o.(*livev1alpha1.DevicePIN); out.Server != "main" || len(out.PINs) != 1 || out.PINs[0] != (livev1alpha1.PIN{Device: "anna", DeviceID: "A", SerialNumber: "SA", PIN: "123456"}) {
		t.Errorf("got %+v", out)
	}
	if _, err := w.read("devicepins", "other"); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("a server that may have it is down: %v", err)
	}
	w.allowed["reveal"] = false
	if _, err := w.read("devicepins", "lost"); !apierrors.IsForbidden(err) {
		t.Errorf("without the verb: %v", err)
	}
}
