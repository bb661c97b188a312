package device

import (
	"context"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// The bounds of texts and numbers in a DeviceStatus: devices say what they like.
const (
	maxFact    = 256
	maxMessage = 1024 // of a LocURI too
	maxHRESULT = 32
	maxCode    = 9999
)

// observe writes what the server knows of the device into the status. Nothing in it changes while a device is idle.
func (r *Reconciler) observe(_ context.Context, s *scope, _ *loop.Report) error {
	status := &s.object.Status
	status.Origin = mdmv1alpha1.DeviceDeclared
	switch {
	case roster.Discovered(s.object) && s.object.Spec.Listing != nil:
		status.Origin = mdmv1alpha1.DeviceListed
	case roster.Discovered(s.object):
		status.Origin = mdmv1alpha1.DeviceDiscovered
	}
	d := s.device
	if d == nil {
		return nil // what is known from before stays: it may be all that is left after a loss of the store
	}
	status.Platform = mdmv1alpha1.Platform(d.Platform)
	status.Enrollment = enrollment(d)
	status.Hardware = &mdmv1alpha1.DeviceHardware{
		SerialNumber: fact(d.SerialNumber), UDID: fact(d.UDID), Model: fact(d.Model), ModelName: fact(d.ModelName), ProductName: fact(d.ProductName),
	}
	status.OS = &mdmv1alpha1.DeviceOS{Version: fact(d.OSVersion), Build: fact(d.BuildVersion)}
	status.DeviceName = fact(d.DeviceName)
	status.Identity = &mdmv1alpha1.DeviceCertificate{NotAfter: convert.Time(d.IdentityNotAfter), RenewingSince: convert.Time(d.RenewingSince)}
	status.UserPrincipalName, status.Authentication = fact(d.UserPrincipalName), mdmv1alpha1.ManagementAuthentication(d.Authentication)
	s.hear(lastError(d.LastError), lastDrift(d.LastDrift))
	status.Escrowed = escrowed(d)
	status.Failing = failing(d)
	status.FailingCount = new(int32(d.FailingCount))
	return nil
}

func fact(s string) string { return convert.Text(s, maxFact) }

func enrollment(d *adminapi.Device) *mdmv1alpha1.DeviceEnrollment {
	e := &mdmv1alpha1.DeviceEnrollment{
		ID: d.EnrollmentID, Kind: mdmv1alpha1.EnrollmentKind(d.Kind), State: mdmv1alpha1.EnrollmentState(d.State),
		Since: convert.Time(d.EnrolledAt), Token: convert.Name(d.Token), EndReason: d.EndReason,
		AutomatedEnrollment: convert.Name(d.Automated), ConfiguredAt: convert.Time(d.ConfiguredAt),
	}
	if d.State == adminapi.DeviceEnded {
		e.Since = convert.Time(d.EndedAt)
	}
	return e
}

func lastError(e *adminapi.DeviceError) *mdmv1alpha1.DeviceError {
	if e == nil {
		return nil
	}
	return &mdmv1alpha1.DeviceError{
		Code: int32(min(max(e.Code, 0), maxCode)), Original: convert.Text(e.Original, maxHRESULT), LocURI: convert.Text(e.LocURI, maxMessage),
		Message: convert.Text(e.Message, maxMessage), At: convert.Time(e.At),
	}
}

func lastDrift(d *adminapi.Drift) *mdmv1alpha1.DeviceDrift {
	if d == nil {
		return nil
	}
	return &mdmv1alpha1.DeviceDrift{Profile: convert.Name(d.Artifact), LocURI: convert.Text(d.LocURI, maxMessage), At: convert.Time(d.At)}
}

func escrowed(d *adminapi.Device) []mdmv1alpha1.EscrowedSecret {
	var kept []mdmv1alpha1.EscrowedSecret
	if d.HasBootstrapToken {
		kept = append(kept, mdmv1alpha1.EscrowedBootstrapToken)
	}
	if d.HasUnlockToken {
		kept = append(kept, mdmv1alpha1.EscrowedUnlockToken)
	}
	return kept
}

func failing(d *adminapi.Device) []mdmv1alpha1.FailingProfile {
	var all []mdmv1alpha1.FailingProfile
	for _, f := range d.Failing {
		all = append(all, mdmv1alpha1.FailingProfile{Profile: convert.Name(f.Artifact), Message: convert.Text(f.Message, maxMessage), Since: convert.Time(f.Since)})
	}
	return all
}
