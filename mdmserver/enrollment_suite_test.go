package mdmserver_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"net/http"
	"testing"

	"github.com/micromdm/nanomdm/mdm"
	"github.com/micromdm/nanomdm/test/enrollment"
	"github.com/micromdm/plist"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const (
	commandURL = "https://" + serverfiles.Host + "/apple/command"
	checkinURL = "https://" + serverfiles.Host + "/apple/checkin"
)

// nanoDevice makes an enrolment of nanomdm's published client. The client signs with a certificate that it made itself, which this server
// rightly refuses; so its key gets a certificate the way any device does, by SCEP with a challenge of the enrolment profile.
func (w *world) nanoDevice(t *testing.T) *enrollment.Enrollment {
	t.Helper()
	e, err := enrollment.NewRandomDeviceEnrollment(w.deviceHTTP(t), serverfiles.Topic, commandURL, checkinURL)
	if err != nil {
		t.Fatal(err)
	}
	w.certify(t, e, "fleet/nano")
	return e
}

// certify replaces the client's certificate with one for the same key that this server issued.
func (w *world) certify(t *testing.T, e *enrollment.Enrollment, token adminapi.Key) {
	t.Helper()
	cert, key, err := e.GetIdentity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reader := w.mac(t, 0)
	profile, err := reader.FetchEnrollment(t.Context(), w.token(t, token))
	if err != nil {
		t.Fatal(err)
	}
	scep := devicesim.SCEP{Payload: profile.SCEP, Client: w.deviceHTTP(t)}
	if err := scep.Discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	issued, err := scep.Request(t.Context(), key.(*rsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	*cert = *issued
}

// nanomdm's published client enrols, asks for commands, answers one, escrows and reads a bootstrap token, over the real listener.
func TestNanomdmsEnrollmentClientIsServed(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	e := w.nanoDevice(t)
	if err := e.DoEnroll(ctx); err != nil {
		t.Fatal(err)
	}
	device := w.await(t, func(c adminapi.Change) bool { return c.Device != nil && c.Device.State == adminapi.DeviceEnrolled }).Device
	if device.ID != e.ID() || device.SerialNumber != e.SerialNumber() {
		t.Errorf("the server knows %+v", device)
	}

	if got, err := e.DoGetBootstrapToken(ctx); err != nil || got != nil {
		t.Errorf("before any was escrowed the bootstrap token is %v, %v", got, err)
	}
	if err := e.DoEscrowBootstrapToken(ctx, []byte("token")); err != nil {
		t.Fatal(err)
	}
	// The client sends the base64 of the token as its data.
	if got, err := e.DoGetBootstrapToken(ctx); err != nil || string(got.BootstrapToken) != base64.StdEncoding.EncodeToString([]byte("token")) {
		t.Errorf("the bootstrap token is %v, %v", got, err)
	}

	if command := report(t, e, "Idle", ""); command != nil {
		t.Errorf("an idle device without work got %+v", command)
	}
	if _, err := w.admin.PutAction(ctx, adminapi.Action{Key: "fleet/list", SpecHash: "h", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleProfileList},
		Targets: []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}}}); err != nil {
		t.Fatal(err)
	}
	command := report(t, e, "Idle", "")
	if command == nil || command.Command.RequestType != adminapi.AppleProfileList {
		t.Fatalf("the device got %+v", command)
	}
	if next := report(t, e, "Acknowledged", command.CommandUUID); next != nil {
		t.Errorf("after its only command the device got %+v", next)
	}
	w.await(t, func(c adminapi.Change) bool { return c.Action != nil && c.Action.Counts[adminapi.TargetSucceeded] == 1 })
}

// The certificate that the client makes itself is refused, with a status that makes no device unenrol.
func TestNanomdmsEnrollmentClientWithAStrangeIdentity(t *testing.T) {
	w := newWorld(t)
	e, err := enrollment.NewRandomDeviceEnrollment(w.deviceHTTP(t), serverfiles.Topic, commandURL, checkinURL)
	if err != nil {
		t.Fatal(err)
	}
	err = e.DoEnroll(t.Context())
	var refused *enrollment.HTTPError
	if !errors.As(err, &refused) || refused.StatusCode == http.StatusUnauthorized || refused.StatusCode < 400 || refused.StatusCode >= 500 {
		t.Errorf("got %v, want a refusal that is not 401", err)
	}
}

// report sends a status and returns the next command, nil if there is none.
func report(t *testing.T, e *enrollment.Enrollment, status, uuid string) *mdm.Command {
	t.Helper()
	b, err := plist.Marshal(&mdm.CommandResults{Enrollment: *e.GetEnrollment(), Status: status, CommandUUID: uuid})
	if err != nil {
		t.Fatal(err)
	}
	res, err := e.DoReportAndFetch(t.Context(), bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := enrollment.HTTPErrors(res); err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if body.Len() == 0 {
		return nil
	}
	command, err := mdm.DecodeCommand(body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return command
}
