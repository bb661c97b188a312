package device

import (
	"context"
	"errors"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// staleAgain is the pause after the server spoke of a newer enrolment than the mirror, which is about to hear of it.
const staleAgain = time.Second

// infancy is how long the first status of a Device that was made for a device that enrolled waits until the server was told which Profiles it should have, so
// that it is written once.
const infancy = 30 * time.Second

// publish sees that the server manages the enrolment, or releases it, and that it was told which Profiles the device should have.
func (r *Reconciler) publish(ctx context.Context, s *scope, report *loop.Report) error {
	d := s.device
	switch {
	case d == nil || d.State == adminapi.DeviceEnded:
		report.True(mdmv1alpha1.DeviceAwaitingEnrollment, "nothing can be asked of the device until it enrols")
		return nil
	case s.object.Annotations[mdmv1alpha1.AnnotationRelease] == d.EnrollmentID:
		if err := s.intend(ctx, adminapi.IntentRelease); err != nil {
			return err
		}
		return loop.Wait(mdmv1alpha1.ReasonPending, 0, "the enrolment is being released")
	case d.Ignored || d.Unenrolling:
		if err := s.intend(ctx, adminapi.IntentManage); err != nil {
			return err
		}
	}
	return r.told(s)
}

// told waits until the server was told which Profiles the device should have.
func (r *Reconciler) told(s *scope) error {
	d := s.device
	told, ok := s.server.Assignment(d.ID)
	switch {
	case ok && told.EnrollmentID == d.EnrollmentID && d.State != adminapi.DevicePending:
		return nil
	case s.newborn && r.Clock.Now().Sub(s.object.CreationTimestamp.Time) < infancy:
		return loop.Hold(staleAgain)
	}
	return loop.Wait(mdmv1alpha1.ReasonPending, 0, "the server is about to hear which Profiles the device should have")
}

// handOver tells the server what becomes of the enrolment without its Device.
func (r *Reconciler) handOver(ctx context.Context, s *scope, report *loop.Report) error {
	var err error
	s.server, err = r.Links.Find(ctx, r.Client, s.object.Namespace, s.object.Spec.ServerRef.Name)
	if errors.Is(err, link.ErrNotFound) {
		report.False(mdmv1alpha1.ReasonServerNotFound, "the MDMServer is gone: nobody could be told what becomes of the enrolment, and the device stays as it is")
		return nil
	}
	if err != nil {
		return link.Halt(err)
	}
	s.find()
	if s.device == nil || s.device.State == adminapi.DeviceEnded || s.device.Unenrolling {
		return nil
	}
	rivals, err := roster.Rivals(ctx, r.Client, s.object, s.device)
	if err != nil {
		return err
	}
	for _, rival := range rivals {
		if roster.Compare(rival, s.object) < 0 {
			return nil // the device has another one to speak for it
		}
	}
	if s.object.Spec.DeletionPolicy == mdmv1alpha1.DeviceUnenroll {
		return s.intend(ctx, adminapi.IntentUnenroll)
	}
	return s.intend(ctx, adminapi.IntentIgnore)
}

func (s *scope) intend(ctx context.Context, intent adminapi.Intent) error {
	stale, err := s.server.PutIntent(ctx, adminapi.DeviceIntent{DeviceID: s.device.ID, EnrollmentID: s.device.EnrollmentID, Intent: intent})
	if stale {
		return loop.Wait(mdmv1alpha1.ReasonPending, staleAgain, "the device has just enrolled anew")
	}
	return link.Halt(err)
}
