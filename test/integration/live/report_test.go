package live_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

func TestViewerReadsHowADeviceIs(t *testing.T) {
	w := newWorld(t)
	viewer := w.person("viewer", "kubemdm-viewer")
	mac := w.mac("anna")
	w.wifi("office")
	w.idle(mac, "the report shows the Profile as installed", func() bool {
		r := mustRead[livev1alpha1.DeviceReport](viewer, "devicereports", "anna")
		return len(r.Profiles) == 1 && r.Profiles[0].Outcome == "Installed"
	})
	r := mustRead[livev1alpha1.DeviceReport](viewer, "devicereports", "anna")
	if r.Server != serverName || r.State != "Enrolled" || !r.Responding || r.LastSeen == nil || r.SerialNumber != mac.Hardware().SerialNumber || r.Platform != "Apple" {
		t.Errorf("report %+v", r)
	}
	if got := history(r); !strings.Contains(got, "Enrolled/ Sent/office Acknowledged/office") {
		t.Errorf("history %s", got)
	}
	table, err := viewer.table("devicereports/anna")
	w.must(err)
	if cells := table.Rows[0].Cells; fmt.Sprint(cells[:3], cells[4:6]) != "[anna mdm Enrolled] [yes 1/1]" {
		t.Errorf("kubectl get shows %v", cells)
	}
}

// history is what happened, the oldest first, as type/profile.
func history(r *livev1alpha1.DeviceReport) string {
	var words []string
	for i := len(r.History) - 1; i >= 0; i-- {
		if e := r.History[i]; e.Profile != "" || e.RequestType == "" {
			words = append(words, e.Type+"/"+e.Profile)
		}
	}
	return strings.Join(words, " ")
}

func TestReportSaysWhoIsBehindAndWhy(t *testing.T) {
	w := newWorld(t)
	viewer := w.person("viewer", "kubemdm-viewer")
	good, busy, stubborn := w.mac("good"), w.mac("busy"), w.mac("stubborn")
	busy.Script(devicesim.Rule{RequestType: "InstallProfile", Do: devicesim.AnswerNotNow})
	stubborn.Script(devicesim.Rule{RequestType: "InstallProfile", Do: devicesim.AnswerError})
	w.wifi("office")
	var r *livev1alpha1.ProfileReport
	w.eventually("each has answered", func() bool {
		for _, d := range []*devicesim.Device{good, busy, stubborn} {
			w.must(d.Idle(w.Context()))
		}
		r = mustRead[livev1alpha1.ProfileReport](viewer, "profilereports", "office")
		return r.Installed == 1 && r.Failed == 1 && len(r.Behind) == 2 && r.Behind[1].Outcome == "NotNow"
	})
	if r.Targeted != 3 || r.Pending != 1 || r.Truncated != 0 {
		t.Errorf("counts %+v", r)
	}
	for i, want := range []struct{ device, message string }{{"stubborn", "the device refused it: "}, {"busy", "busy or locked"}} {
		if b := r.Behind[i]; b.Device != want.device || !strings.Contains(b.Message, want.message) || b.SerialNumber == "" {
			t.Errorf("behind %d: %+v, want %+v", i, b, want)
		}
	}
}

func TestReportThatCannotBeGivenSaysWhy(t *testing.T) {
	w := newWorld(t)
	viewer, stranger := w.person("viewer", "kubemdm-viewer"), w.person("stranger", "")
	w.create(&mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Name: "boxed"}, Spec: mdmv1alpha1.DeviceSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, SerialNumber: "BOXED1",
	}})
	w.mac("anna")
	stop := w.pod.Stop
	for _, c := range []struct {
		name, device string
		who          *person
		before       func()
		is           func(error) bool
		words        string
	}{
		{"no such Device", "nobody", viewer, nil, apierrors.IsNotFound, `devices.mdm.kubemdm.io "nobody" not found`},
		{"never enrolled", "boxed", viewer, nil, apierrors.IsConflict, "has not enrolled"},
		{"no rights", "anna", stranger, nil, apierrors.IsForbidden, "cannot get resource \"devicereports\""},
		{"the server is down", "anna", viewer, stop, apierrors.IsServiceUnavailable, "the MDMServer mdm cannot be reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.before != nil {
				c.before()
			}
			w.eventually("the manager has seen the Device", func() bool {
				_, err := read[livev1alpha1.DeviceReport](c.who, "devicereports", c.device)
				return c.is(err)
			})
			_, err := read[livev1alpha1.DeviceReport](c.who, "devicereports", c.device)
			if !c.is(err) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v", err)
			}
			if seconds, told := apierrors.SuggestsClientDelay(err); told {
				t.Errorf("clients are told to come back after %d s, and do so ten times before they show the error", seconds)
			}
		})
	}
	admin := w.person("admin", "kubemdm-admin")
	if _, err := admin.in(w.ns, "devicereports").List(t.Context(), metav1.ListOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a list of reports: %v", err)
	}
}

func TestHelpdeskWakesADevice(t *testing.T) {
	w := newWorld(t)
	viewer, helpdesk := w.person("viewer", "kubemdm-viewer"), w.person("helpdesk", "kubemdm-helpdesk")
	mac := w.mac("anna")
	if _, err := viewer.post("devicereports/anna/push", struct{}{}); !apierrors.IsForbidden(err) {
		t.Errorf("a viewer pushes: %v", err)
	}
	answer, err := helpdesk.post("devicereports/anna/push", struct{}{})
	w.must(err)
	out := &livev1alpha1.DevicePush{}
	w.must(json.Unmarshal(answer, out))
	if out.Name != "anna" || out.Kind != "DevicePush" {
		t.Errorf("answer %s", answer)
	}
	if _, err := w.pushes.Wait(w.Context(), mac.Channel().PushToken()); err != nil {
		t.Error(err)
	}
}

func TestImportIsJudged(t *testing.T) {
	w := newWorld(t)
	admin, helpdesk := w.person("admin", "kubemdm-admin"), w.person("helpdesk", "kubemdm-helpdesk")
	batch := func(server string, n int) livev1alpha1.EnrollmentImport {
		i := livev1alpha1.EnrollmentImport{Server: server, Import: "old", DryRun: true}
		i.APIVersion, i.Kind = livev1alpha1.GroupVersion.String(), "EnrollmentImport"
		for range n {
			i.Enrollments = append(i.Enrollments, livev1alpha1.ImportedEnrollment{DeviceID: "U1", Kind: "Device"})
		}
		return i
	}
	huge := batch(serverName, 1)
	huge.Enrollments[0].UnlockToken = make([]byte, 4<<20)
	for name, c := range map[string]struct {
		who   *person
		batch livev1alpha1.EnrollmentImport
		code  int32
		words string
	}{
		"not allowed":    {helpdesk, batch(serverName, 1), http.StatusForbidden, "cannot create resource"},
		"empty":          {admin, batch(serverName, 0), http.StatusUnprocessableEntity, "there is nothing to import"},
		"too many":       {admin, batch(serverName, 501), http.StatusUnprocessableEntity, "must have at most 500 items"},
		"too large":      {admin, huge, http.StatusRequestEntityTooLarge, "limit is 4194304"},
		"no such server": {admin, batch("nowhere", 1), http.StatusNotFound, `"nowhere" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := c.who.post("enrollmentimports", c.batch)
			status := &metav1.Status{}
			if err == nil || json.Unmarshal(body, status) != nil || status.Code != c.code || !strings.Contains(status.Message, c.words) {
				t.Errorf("error %v, body %s", err, body)
			}
		})
	}
}
