package device

import (
	"context"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// check is one reason why a condition is not True.
type check func(s *scope) (reason, message string, failed bool)

// The checks of each condition, in the order in which they are looked at.
var (
	enrolledChecks   = []check{neverEnrolled, unknownToServer, enrolmentEnded, enrolmentPending}
	respondingChecks = []check{silent, pushUnregistered}
)

func (r *Reconciler) enrolled(_ context.Context, s *scope, report *loop.Report) error {
	judge(s, report.False, enrolledChecks)
	return nil
}

// A device that is not enrolled neither responds nor refuses.
func (r *Reconciler) responding(_ context.Context, s *scope, report *loop.Report) error {
	if !judge(s, report.Unknown, enrolledChecks) {
		judge(s, report.False, respondingChecks)
	}
	return nil
}

func (r *Reconciler) profilesApplied(_ context.Context, s *scope, report *loop.Report) error {
	if !judge(s, report.Unknown, enrolledChecks) && s.device.FailingCount > 0 {
		report.False(mdmv1alpha1.DeviceProfileRefused, "the device refused %d Profiles, which status.failing explains: correct them", s.device.FailingCount)
	}
	return nil
}

// configured speaks of devices that wait in Setup Assistant, or did.
func (r *Reconciler) configured(_ context.Context, s *scope, report *loop.Report) error {
	switch {
	case s.device == nil || s.device.State != adminapi.DeviceEnrolled:
	case s.device.AwaitingConfiguration:
		report.False(mdmv1alpha1.DeviceAwaitingConfiguration, "the device waits in Setup Assistant until the Profiles that it should have are on it")
	case !s.device.ConfiguredAt.IsZero():
		report.True(mdmv1alpha1.ReasonReady, "the device was let out of Setup Assistant")
	}
	return nil
}

func (r *Reconciler) reenrolmentBlocked(_ context.Context, s *scope, report *loop.Report) error {
	if s.device == nil || s.device.Blocked == nil {
		return nil
	}
	report.True(mdmv1alpha1.DeviceIdentityTaken, "on %s somebody tried to enrol this device anew%s and was refused; if that was you, "+
		"annotate it with %s=%s or use an EnrollmentToken whose deviceRef is %s", s.device.Blocked.Since.UTC().Format("2006-01-02 15:04 MST"),
		with(s.device.Blocked.Token), mdmv1alpha1.AnnotationRelease, s.device.EnrollmentID, s.object.Name)
	return nil
}

func with(token adminapi.Key) string {
	if token == "" {
		return ""
	}
	return " with the EnrollmentToken " + convert.Name(token)
}

// judge reports the first check that fails.
func judge(s *scope, report func(reason, message string, args ...any), checks []check) (failed bool) {
	for _, c := range checks {
		if reason, message, failed := c(s); failed {
			report(reason, "%s", message)
			return true
		}
	}
	return false
}

func neverEnrolled(s *scope) (reason, message string, failed bool) {
	return mdmv1alpha1.DeviceAwaitingEnrollment, "the device has not enrolled yet: enrol it with an EnrollmentToken",
		s.device == nil && s.object.Status.Enrollment == nil
}

func unknownToServer(s *scope) (reason, message string, failed bool) {
	return mdmv1alpha1.DeviceUnknownToServer, "the server does not know this enrolment any more, as after a loss or restore of its store: " +
		"restore a newer one, or enrol the device again; nothing was taken from it", s.device == nil
}

func enrolmentEnded(s *scope) (reason, message string, failed bool) {
	return mdmv1alpha1.DeviceEnrollmentEnded, "the enrolment is over (" + s.device.EndReason + "): enrol the device again, or delete this object",
		s.device.State == adminapi.DeviceEnded
}

func enrolmentPending(s *scope) (reason, message string, failed bool) {
	return mdmv1alpha1.DeviceEnrollmentPending, "the device has begun to enrol", s.device.State == adminapi.DevicePending
}

func silent(s *scope) (reason, message string, failed bool) {
	return mdmv1alpha1.DeviceSilent, "nothing was heard of the device for longer than silentAfter of its MDMServer: find out whether it is in use",
		!s.device.Responding
}

func pushUnregistered(s *scope) (reason, message string, failed bool) {
	return mdmv1alpha1.DevicePushUnregistered, "Apple cannot wake the device any more, as after an erasure: if it does not call by itself, enrol it again",
		s.device.PushUnregistered
}
