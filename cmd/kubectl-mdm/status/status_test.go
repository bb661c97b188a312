package status_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	lt "github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/status"
	"github.com/kubemdm/kubemdm/test/golden"
)

const day = 24 * time.Hour

func end(left time.Duration) *metav1.Time {
	t := lt.Ago(-left)
	return &t
}

// berlin is a server that is well.
func berlin() *mdmv1alpha1.MDMServer {
	s := &mdmv1alpha1.MDMServer{ObjectMeta: lt.Meta("berlin"), Spec: mdmv1alpha1.MDMServerSpec{
		Host: "mdm.example.com", Apple: &mdmv1alpha1.AppleServer{}, TLS: mdmv1alpha1.ServingTLS{Type: mdmv1alpha1.TLSIssuer},
	}}
	s.Status = mdmv1alpha1.MDMServerStatus{
		Version: "v0.2.0", Enrolled: lt.Number(7), Responding: lt.Number(6), Behind: lt.Number(2),
		Certificates: []mdmv1alpha1.ServerCertificate{
			{Name: "Serving", NotAfter: end(60*day + time.Hour)}, {Name: "Push", NotAfter: end(200 * day)}, {Name: "Admin", NotAfter: end(day)},
			{Name: "IdentityCA-1", Role: mdmv1alpha1.CARoleRetired, NotAfter: end(3 * day)}, {Name: "IdentityCA-2", Role: mdmv1alpha1.CARoleActive, NotAfter: end(3000 * day)},
		},
	}
	return lt.With(s, lt.Well(mdmv1alpha1.ConditionReady), lt.Is(mdmv1alpha1.MDMServerPubliclyTrusted, metav1.ConditionTrue, mdmv1alpha1.MDMServerPublicCA, ""))
}

func wifi() *mdmv1alpha1.Profile {
	p := &mdmv1alpha1.Profile{ObjectMeta: lt.Meta("wifi")}
	p.Status.Targeted, p.Status.Installed, p.Status.Pending, p.Status.Failed = lt.Number(7), lt.Number(7), lt.Number(0), lt.Number(0)
	return lt.With(p, lt.Well(mdmv1alpha1.ConditionReady), lt.Well(mdmv1alpha1.ProfilePublished), lt.Well(mdmv1alpha1.ProfileConverged))
}

func command(name string, finished time.Duration, conditions ...metav1.Condition) *mdmv1alpha1.DeviceCommand {
	c := &mdmv1alpha1.DeviceCommand{ObjectMeta: lt.Meta(name)}
	if finished > 0 {
		at := lt.Ago(finished)
		c.Status.FinishedAt = &at
	}
	return lt.With(c, conditions...)
}

// troubled is a fleet in which most of what can go wrong does.
func troubled() []client.Object {
	paris := berlin()
	paris.Name, paris.Spec.Host, paris.Spec.TLS = "paris", "mdm.example.fr", mdmv1alpha1.ServingTLS{Type: mdmv1alpha1.TLSSecret, SecretRef: &mdmv1alpha1.LocalReference{Name: "paris-tls"}}
	paris.Status.Certificates = []mdmv1alpha1.ServerCertificate{{Name: "Serving", NotAfter: end(12*day + time.Hour)}}
	lt.With(paris, lt.Not(mdmv1alpha1.ConditionReady, mdmv1alpha1.MDMServerKeyLost, "the Secret paris-sealing is gone"),
		lt.Is(mdmv1alpha1.ConditionStalled, metav1.ConditionTrue, mdmv1alpha1.MDMServerKeyLost, "the Secret paris-sealing is gone\x1b[2J: restore it from a backup; it is never made anew, since stored data is sealed with it"),
		lt.Not(mdmv1alpha1.MDMServerCredentialsReady, mdmv1alpha1.MDMServerKeyLost, "the same again"),
		lt.Not(mdmv1alpha1.MDMServerPubliclyTrusted, mdmv1alpha1.MDMServerPrivateCA, "it is a private one"))

	push := lt.With(&mdmv1alpha1.APNSCertificate{ObjectMeta: lt.Meta("push")}, lt.Not(mdmv1alpha1.ConditionReady, mdmv1alpha1.APNSCertificateExpired, "see the others"),
		lt.Not(mdmv1alpha1.APNSCertificateIssued, mdmv1alpha1.APNSCertificateExpired, "the certificate ended at 2026-06-29T12:00:00Z: no device is woken any more"))
	push.Status.NotAfter, push.Status.NextStep = end(-2*day), "Upload the request at https://identity.apple.com/pushcert and hand over what it returns: kubectl mdm apns import push FILE."
	ade := lt.With(&mdmv1alpha1.AutomatedEnrollment{ObjectMeta: lt.Meta("business")}, lt.Not(mdmv1alpha1.ConditionReady, mdmv1alpha1.AutomatedEnrollmentAwaitingToken, "wait"))
	ade.Status.TokenNotAfter, ade.Status.NextStep = end(9*day+time.Hour), "Upload status.publicKeyCertificate in Apple Business Manager."

	held := lt.With(wifi(), lt.Is(mdmv1alpha1.ProfileRemovalHeld, metav1.ConditionTrue, mdmv1alpha1.ProfileTooManyRemovals, "42 devices would lose it"))
	held.Name, held.Status.Removing = "vpn", lt.Number(42)
	refused := lt.With(wifi(), lt.Not(mdmv1alpha1.ProfileConverged, mdmv1alpha1.ProfileRefused, "1 device refuses it"))
	refused.Name, refused.Status.Failed = "fonts", lt.Number(1)
	rolling := lt.With(wifi(), lt.Not(mdmv1alpha1.ProfileConverged, mdmv1alpha1.ProfileRollingOut, "1 device has not answered"))
	rolling.Name, rolling.Status.Pending = "dock", lt.Number(1)
	paused := lt.With(&mdmv1alpha1.Profile{ObjectMeta: lt.Meta("asleep")}, lt.Not(mdmv1alpha1.ConditionReady, mdmv1alpha1.ReasonPaused, "paused"))
	paused.Annotations = map[string]string{mdmv1alpha1.AnnotationPaused: "true"}

	objects := []client.Object{berlin(), paris, push, ade, held, refused, rolling, paused, wifi()}
	for i := range 5 {
		d := lt.Device(fmt.Sprintf("mac-%d", i), fmt.Sprintf("C0%d", i), mdmv1alpha1.PlatformApple)
		if i > 0 {
			lt.With(d, lt.Not(mdmv1alpha1.DeviceResponding, mdmv1alpha1.DeviceSilent, "nothing was heard of it since 2026-06-20T12:00:00Z"))
		}
		objects = append(objects, d)
	}
	pc := lt.With(lt.Device("pc-1", "5CG1", mdmv1alpha1.PlatformWindows), lt.Not(mdmv1alpha1.DeviceProfilesApplied, mdmv1alpha1.DeviceProfileRefused, "fonts"))
	blocked := lt.With(lt.Device("pc-2", "5CG2", mdmv1alpha1.PlatformWindows),
		lt.Is(mdmv1alpha1.DeviceReenrolmentBlocked, metav1.ConditionTrue, mdmv1alpha1.DeviceIdentityTaken, "somebody tried to enrol it again"))
	gone := lt.Device("mac-9", "C09", mdmv1alpha1.PlatformApple)
	gone.Status.Enrollment.State = mdmv1alpha1.EnrollmentEnded
	lt.With(gone, lt.Not(mdmv1alpha1.DeviceEnrolled, mdmv1alpha1.DeviceEnrollmentEnded, "checked out"))
	awaited := lt.With(&mdmv1alpha1.Device{ObjectMeta: lt.Meta("declared")}, lt.Not(mdmv1alpha1.DeviceEnrolled, mdmv1alpha1.DeviceAwaitingEnrollment, "not yet"))
	usedUp := lt.With(&mdmv1alpha1.EnrollmentToken{ObjectMeta: lt.Meta("staff")}, lt.Not(mdmv1alpha1.EnrollmentTokenUsable, mdmv1alpha1.EnrollmentTokenUsedUp, "all uses are made"))
	failed := lt.Is(mdmv1alpha1.DeviceCommandFailed, metav1.ConditionTrue, mdmv1alpha1.DeviceCommandSomeFailed, "1 device did not do it")
	return append(objects, pc, blocked, gone, awaited, usedUp, command("running", 0), command("done", time.Hour, lt.Well(mdmv1alpha1.DeviceCommandSucceeded)),
		command("failed", time.Hour, failed), command("failed-long-ago", 30*day, failed))
}

func TestScreen(t *testing.T) {
	elsewhere := wifi()
	elsewhere.Namespace = "branch"
	for _, tc := range []struct {
		name    string
		objects []client.Object
		args    []string
		colour  bool
	}{
		{name: "empty"},
		{name: "well", objects: []client.Object{berlin(), wifi(), lt.Device("mac-1", "C01", mdmv1alpha1.PlatformApple)}},
		{name: "troubled", objects: troubled()},
		{name: "colour", objects: troubled(), colour: true},
		{name: "everywhere", objects: append(troubled(), elsewhere), args: []string{"-A"}},
		{name: "json", objects: troubled(), args: []string{"-o", "json"}},
		{name: "yaml", objects: []client.Object{berlin()}, args: []string{"-o", "yaml"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := lt.New(t, tc.objects...)
			w.Colour = tc.colour
			w.WantError(w.Run(status.Command, tc.args...))
			golden.Check(t, "testdata/"+tc.name+".txt", w.Out.Bytes())
		})
	}
}

// Who may not read one kind sees all else, and who may read none is told so.
func TestRights(t *testing.T) {
	w := lt.New(t, troubled()...)
	w.Forbidden = []string{"Device"}
	w.WantError(w.Run(status.Command))
	w.WantOutput("Note: devices are not shown: you lack the right to list devices.mdm.kubemdm.io in the namespace fleet", "Profile vpn: TooManyRemovals")
	w.WantError(w.Run(status.Command, "-o", "json"))
	var got status.Status
	if err := json.Unmarshal(w.Out.Bytes(), &got); err != nil || len(got.Missing) != 1 || len(got.Needs) == 0 {
		t.Errorf("%v: %s", err, &w.Out)
	}
	w.Forbidden = append(w.Forbidden, "MDMServer", "APNSCertificate", "AutomatedEnrollment", "EnrollmentToken", "Profile", "DeviceCommand")
	w.WantError(w.Run(status.Command), "the cluster does not let you do this")
	w.WantError(w.Run(status.Command, "-o", "table"), `no output format "table"`)
}

// A large fleet is read page by page, and a terminal shows how far it is.
func TestLargeFleet(t *testing.T) {
	var objects []client.Object
	for i := range 25 {
		objects = append(objects, lt.Device(fmt.Sprintf("mac-%02d", i), fmt.Sprintf("C0%d", i), mdmv1alpha1.PlatformApple))
	}
	w := lt.New(t, objects...)
	w.PageSize, w.Progress = 10, true
	w.WantError(w.Run(status.Command))
	w.WantOutput("Apple    25: 25 enrolled", "Reading devices: 10 of 25", "Reading devices: 20 of 25", "\r\x1b[K")
	if w.Lists["Device"] != 3 {
		t.Errorf("%d pages", w.Lists["Device"])
	}
	w.Progress = false
	w.WantError(w.Run(status.Command))
	if w.ErrOut.Len() > 0 {
		t.Errorf("%q", &w.ErrOut)
	}
}
