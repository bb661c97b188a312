package windows

import (
	"context"
	"errors"
	"log/slog"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
)

// Subcodes of faults. Each stands for an HRESULT on the device (MS-MDE2, section 2.2.9.1).
const (
	messageFormat        = "s:messageformat"        // 80180001
	authentication       = "s:authentication"       // 80180002
	authorization        = "s:authorization"        // 80180003
	certificateRequest   = "s:certificaterequest"   // 80180004
	enrollmentServer     = "s:enrollmentserver"     // 80180005
	internalServiceFault = "a:internalservicefault" // 80180006
	invalidSecurity      = "a:invalidsecurity"      // 80180007
)

// Error types say more than a subcode, and win against it. From 20H2 on, customServerError makes Windows show the text to the person.
const (
	notSupported          = "NotSupported"          // 80180015
	notEligibleToRenew    = "NotEligibleToRenew"    // 80180016
	inMaintenance         = "InMaintenance"         // 80180017
	invalidEnrollmentData = "InvalidEnrollmentData" // 80180019
	customServerError     = "CustomServerError"     // 80180032
)

// faults are the answers to the errors of the endpoints; what is not in it is the server's own fault.
var faults = []struct {
	err                error
	subcode, errorType string
	text               string
}{
	{errMalformed, messageFormat, "", "The server does not understand this message."},
	{errDeviceID, messageFormat, invalidEnrollmentData, "The request does not name the device."},
	{errRequestType, messageFormat, notSupported, "The server only issues and renews certificates."},
	{errNoCredential, authentication, "", "Enrolling takes a token. Ask your administrator for one."},
	{errCredential, authentication, "", "The server cannot read the token. Ask your administrator for a new one."},
	{fleet.ErrTokenUnknown, authentication, "", "The token is not known. Check it, or ask your administrator for a new one."},
	{fleet.ErrChallenge, authentication, "", "The sign-in has expired. Sign in again."},
	{fleet.ErrTokenExpired, authorization, customServerError, "The token has expired. Ask your administrator for a new one."},
	{fleet.ErrTokenExhausted, authorization, customServerError, "The token is used up. Ask your administrator for a new one."},
	{fleet.ErrTokenUnusable, authorization, customServerError, "The token is not for this device. Ask your administrator for another one."},
	{fleet.ErrReenrolmentBlocked, authorization, customServerError, "This device is enrolled already. Ask your administrator to release it."},
	{fleet.ErrNotDue, authorization, notEligibleToRenew, "The certificate is not to be renewed yet."},
	{fleet.ErrNotEnrolled, authorization, "", "The device is not enrolled."},
	{fleet.ErrWrongIdentity, authorization, "", "The certificate belongs to another device."},
	{fleet.ErrSuperseded, authorization, "", "The certificate has been replaced."},
	{fleet.ErrKeyReused, certificateRequest, "", "The key of this request was used before."},
	{errRequest, certificateRequest, "", "The certificate request cannot be granted."},
	{errSigner, invalidSecurity, "", "The request is not signed with a certificate that this server accepts."},
	{fleet.ErrUnavailable, enrollmentServer, inMaintenance, "The server cannot enrol devices right now. Try again in a few minutes."},
	{identity.ErrNoCA, enrollmentServer, inMaintenance, "The server cannot enrol devices right now. Try again in a few minutes."},
	{nil, internalServiceFault, "", "The server failed. Give the trace id to your administrator."},
}

// fault looks an error up and logs it beside the trace id, which the person with the device reads on the screen or in the event log.
func (w *Windows) fault(ctx context.Context, reply *wire.Reply, err error) *wire.Fault {
	i := 0
	for i < len(faults)-1 && !errors.Is(err, faults[i].err) {
		i++
	}
	f := faults[i]
	level := slog.LevelInfo
	if f.subcode == internalServiceFault || f.subcode == enrollmentServer {
		level = slog.LevelError
	}
	w.Log.Log(ctx, level, "answered with a fault", "action", reply.Action, "fault", f.subcode, "trace", reply.TraceID, "err", err)
	answer := &wire.Fault{Subcode: f.subcode, ErrorType: f.errorType, Text: f.text}
	if about := (*fleet.About)(nil); errors.As(err, &about) {
		answer.About = about.Subject
	}
	return answer
}
