package importer_test

import (
	"bytes"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/nanomdm"
)

const day = 24 * time.Hour

// wifi is a profile for the device channel.
var wifi = adminapi.Artifact{Key: "fleet/wifi", Scope: adminapi.ScopeSystem, Identifier: "io.example.wifi", Digest: "d1", Template: []byte(`<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>io.example.wifi</string><key>PayloadUUID</key><string>5a0c0f6e-54b6-4c2b-8f6e-0d6a2f6f0001</string>
<key>PayloadContent</key><array/></dict></plist>`)}

// The whole move: a fleet of NanoMDM's goes on under our server, on its old paths and with its old certificates, and renews them.
func TestAFleetMovesFromNanoMDM(t *testing.T) {
	for name, checkIn := range map[string]bool{"one path": false, "two paths": true} {
		t.Run(name, func(t *testing.T) { moves(newWorld(t, checkIn)) })
	}
}

func moves(w *world) {
	ctx := w.Context()
	macs := []*devicesim.Device{w.enrol(1, 300*day), w.enrol(2, 20*day), w.enrol(3, 300*day)}
	gone, stranger := w.enrol(4, 300*day), w.enrol(5, 300*day)
	user, err := macs[0].Login(ctx, devicesim.User{ID: "3F2504E0-4F89-11D3-9A0C-0305E82C3301", ShortName: "ada", LongName: "Ada"})
	must(w, err)
	must(w, macs[0].SetBootstrapToken(ctx, []byte("the bootstrap token")))
	must(w, gone.Unenroll(ctx))
	// The stranger has a certificate of the same CA, and NanoMDM forgot it.
	w.old.Exec("DELETE FROM devices WHERE id = $1", stranger.Hardware().UDID)
	own, _ := w.old.DSN()
	w.Setenv("NANOMDM_DSN", own)

	out, err := w.run()
	w.wants(out, err, "3 would be imported", "1 skipped: disabled in NanoMDM", "with 1 user of a device", "with --commit. Nothing was stored.")
	if len(w.devices()) != 0 {
		w.Fatal("a dry run stored devices")
	}
	out, err = w.run("--commit", "--batch=2")
	w.wants(out, err, "✓ 3 imported")
	before := w.devices()
	for _, mac := range macs {
		d, ok := before[mac.Hardware().UDID]
		if !ok || d.State != adminapi.DeviceEnrolled || d.SerialNumber != mac.Hardware().SerialNumber || d.OSVersion != mac.Hardware().OSVersion ||
			!d.IdentityNotAfter.Equal(mac.Identity().Certificate.NotAfter) {
			w.Errorf("the server knows %+v", d)
		}
	}
	if len(before) != 3 || !before[macs[0].Hardware().UDID].HasBootstrapToken || before[macs[0].Hardware().UDID].Users != 1 {
		w.Errorf("the server knows %+v", before)
	}

	w.switchOver()
	goesOn(w, macs[0], before[macs[0].Hardware().UDID])
	must(w, user.Idle(ctx))
	if token, err := macs[0].BootstrapToken(ctx); err != nil || !bytes.Equal(token, []byte("the bootstrap token")) {
		w.Errorf("the bootstrap token is %q, %v", token, err)
	}
	isWoken(w, macs[2])
	if code := status(stranger.Idle(ctx)); code != http.StatusForbidden || !stranger.Enrolled() {
		w.Errorf("a device that was not imported is answered %d, and is enrolled: %v", code, stranger.Enrolled())
	}
	renews(w, macs[1])

	out, err = w.run("--commit")
	w.wants(out, err, "0 imported", "3 unchanged: imported before", "nothing is left to do here")
	if after := w.devices(); len(after) != 3 || after[macs[1].Hardware().UDID].EnrollmentID != before[macs[1].Hardware().UDID].EnrollmentID {
		w.Errorf("importing again made %+v", after)
	}
	for _, mac := range macs {
		must(w, mac.Idle(ctx))
	}
}

// goesOn gives an imported Mac a profile and a command.
func goesOn(w *world, mac *devicesim.Device, d adminapi.Device) {
	w.Helper()
	ctx := w.Context()
	_, err := w.admin.PutArtifact(ctx, wifi)
	must(w, err)
	_, err = w.admin.PutAssignments(ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: d.ID, EnrollmentID: d.EnrollmentID, Artifacts: []adminapi.Key{wifi.Key}}}})
	must(w, err)
	_, err = w.admin.PutAction(ctx, adminapi.Action{Key: "fleet/info", SpecHash: "1", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation},
		Targets: []adminapi.ActionTarget{{DeviceID: d.ID, EnrollmentID: d.EnrollmentID}}})
	must(w, err)
	must(w, mac.Idle(ctx))
	if mac.Profiles()["io.example.wifi"].Profile == nil {
		w.Error("the imported Mac did not get its profile")
	}
	result, err := w.admin.ActionResult(ctx, "fleet/info", d.ID)
	if err != nil || result.State != adminapi.TargetSucceeded {
		w.Errorf("the command ended as %+v, %v", result, err)
	}
}

// isWoken pushes to an imported Mac with the magic that NanoMDM kept.
func isWoken(w *world, mac *devicesim.Device) {
	w.Helper()
	must(w, w.admin.Push(w.Context(), []string{mac.Hardware().UDID}))
	magic, err := w.pushes.Wait(w.Context(), mac.Channel().PushToken())
	if err != nil || magic != mac.Channel().PushMagic() {
		w.Errorf("the Mac was woken with %q, %v", magic, err)
	}
}

// renews lets a Mac whose certificate ends soon get one of ours. The simulated device refuses a profile that differs in anything that it remembers.
func renews(w *world, mac *devicesim.Device) {
	w.Helper()
	ctx := w.Context()
	old, enrolment := mac.Identity(), mac.Enrollment()
	must(w, mac.Idle(ctx))
	must(w, mac.Idle(ctx)) // with the new certificate
	if mac.Identity() == old || mac.Identity().Certificate.CheckSignatureFrom(w.IdentityCA.Cert) != nil {
		w.Fatalf("the Mac did not renew: %+v", mac.Answers())
	}
	now := mac.Enrollment()
	if now.Identifier != nanomdm.Identifier || now.MDM.ServerURL != w.old.ServerURL || now.MDM.CheckInURL != w.old.CheckInURL || now.MDM.AccessRights != nanomdm.AccessRights ||
		now.MDM.Topic != enrolment.MDM.Topic {
		w.Errorf("the renewal has %s and %+v", now.Identifier, now.MDM)
	}
	d := w.devices()[mac.Hardware().UDID]
	if !d.IdentityNotAfter.Equal(mac.Identity().Certificate.NotAfter) || mac.Identity().Certificate.Subject.CommonName != d.EnrollmentID {
		w.Errorf("after the renewal the server knows %+v", d)
	}

	late, err := mac.PrepareIdle()
	must(w, err)
	late, err = late.SignedBy(old, late.Body)
	must(w, err)
	client := w.names.client(w.T, w.Files)
	if code, _, err := late.Send(ctx, client); err != nil || code != http.StatusOK {
		w.Errorf("within its grace the old certificate is answered %d, %v", code, err)
	}
	w.later(11 * time.Minute)
	if code, _, err := late.Send(ctx, client); err != nil || code != http.StatusForbidden {
		w.Errorf("after its grace the old certificate is answered %d, %v", code, err)
	}
	must(w, mac.Idle(ctx))
}

// What cannot be moved is said before anything is stored, in words that tell what to do.
func TestWhatCannotBeMoved(t *testing.T) {
	w := newWorld(t, true)
	own, empty := w.old.DSN()
	t.Setenv("NANOMDM_DSN", "")
	_, err := w.run()
	w.refuses(err, "NANOMDM_DSN")
	_, err = w.run("--dsn=postgres://nobody@127.0.0.1:1/nanomdm?sslmode=disable")
	w.refuses(err, "connecting to NanoMDM's database")
	_, err = w.run("--dsn=" + empty)
	w.refuses(err, "no tables of NanoMDM's")
	dsn := "--dsn=" + own
	_, err = w.run(dsn, "--commit", "--dry-run")
	w.refuses(err, "contradict")
	_, err = w.run(dsn, "--import=other")
	w.refuses(err, "has no import other (there is: nanomdm)")
	_, err = w.run(dsn, "--server=other")
	w.refuses(err, "no MDMServer other")

	good := w.old.Profile(true)
	for name, tc := range map[string]struct {
		profile []byte
		want    string
	}{
		"no signatures": {w.old.Profile(false), "does not have SignMessage"},
		"another topic": {bytes.ReplaceAll(good, []byte("com.apple.mgmt.External"), []byte("com.apple.mgmt.Other")), "never changes its topic"},
		"another host":  {bytes.ReplaceAll(good, []byte("https://mdm.example.test"), []byte("https://old.example.test")), "needs NanoMDM's host"},
		"another path":  {bytes.ReplaceAll(good, []byte("/checkin<"), []byte("/check<")), "spec.apple.imports[nanomdm].checkInPath"},
		"no profile":    {[]byte("PK"), "neither a profile nor a signed one"},
		"other profile": {wifi.Template, "no payload com.apple.mdm"},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(w.profile, tc.profile, 0o600))
			_, err := w.run(dsn)
			w.refuses(err, tc.want)
		})
	}
	must(t, os.WriteFile(w.profile, good, 0o600))

	expired, odd := w.enrol(1, 2*time.Second), w.enrol(2, 300*day)
	w.old.Exec("UPDATE enrollments SET topic = 'com.apple.mgmt.Other' WHERE id = $1", odd.Hardware().UDID)
	// NanoMDM knows a certificate by its fingerprint alone when it was associated without an Authenticate.
	blind := w.enrol(3, 300*day)
	w.old.Exec("UPDATE devices SET identity_cert = NULL WHERE id = $1", blind.Hardware().UDID)
	lost := w.enrol(4, 300*day)
	w.old.Exec("UPDATE devices SET identity_cert = NULL WHERE id = $1", lost.Hardware().UDID)
	w.old.Exec("DELETE FROM cert_auth_associations WHERE id = $1", lost.Hardware().UDID)
	<-time.After(time.Until(expired.Identity().Certificate.NotAfter.Add(time.Second)))

	w.fail = http.ErrHandlerTimeout
	if _, err = w.run(dsn, "--commit"); err == nil || len(w.devices()) != 0 {
		t.Errorf("without the live view the error is %v", err)
	}
	w.fail = nil
	out, err := w.run(dsn, "--commit", "--batch=1")
	w.refuses(err, "3 enrolments were refused")
	for _, word := range []string{"1 imported", "its topic is com.apple.mgmt.Other", "its certificate ended on", "neither its certificate nor the fingerprint"} {
		w.wants(out, nil, word)
	}
	w.switchOver()
	must(t, blind.Idle(t.Context()))
	if devices := w.devices(); len(devices) != 1 || devices[blind.Hardware().UDID].State != adminapi.DeviceEnrolled {
		t.Errorf("imported: %+v", devices)
	}
}
