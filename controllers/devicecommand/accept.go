package devicecommand

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/validate"
)

// refusal ends a command of which nothing was sent.
type refusal struct{ reason, message string }

// accept judges the spec and resolves the target, once: when the server has the command, its list of targets counts.
func (r *Reconciler) accept(ctx context.Context, s *scope, report *loop.Report) error {
	valid := loop.Admit(mdmv1alpha1.DeviceCommandAccepted, func() field.ErrorList { return validate.DeviceCommand(s.command) })
	if err := valid.Run(ctx, report); err != nil {
		return err
	}
	server, err := r.Links.Await(ctx, r.Client, s.command, s.command.Spec.ServerRef.Name, mdmv1alpha1.DeviceCommandAccepted, report)
	if err != nil {
		return err
	}
	s.connect(server)
	if action, known := server.Action(s.key); known && action.SpecHash == specHash(s.command) {
		s.action = &action
		return nil
	}
	if left := deadline(s.command).Sub(r.Clock.Now()); left > 0 {
		s.refused, err = r.resolve(ctx, s, left)
	} else {
		s.refused = &refusal{mdmv1alpha1.DeviceCommandDeadlineExceeded, "the deadline passed before anything could be sent"}
	}
	if s.refused != nil {
		report.False(s.refused.reason, "%s", s.refused.message)
	}
	return err
}

// deadline counts from the creation, so that it is the same whoever asks and however often.
func deadline(c *mdmv1alpha1.DeviceCommand) time.Time {
	return c.CreationTimestamp.Add(time.Duration(c.Spec.ActiveDeadlineSeconds) * time.Second)
}

// resolve lists the targets, or says why there will never be any.
func (r *Reconciler) resolve(ctx context.Context, s *scope, left time.Duration) (*refusal, error) {
	if s.command.Spec.Target.DeviceRef != nil {
		return r.resolveDevice(ctx, s, left)
	}
	selector, err := metav1.LabelSelectorAsSelector(s.command.Spec.Target.Selector)
	if err != nil {
		return nil, err
	}
	devices, err := roster.Devices(ctx, r.Client, s.serverName())
	if err != nil {
		return nil, err
	}
	for _, g := range roster.Groups(s.server, devices) {
		if !selector.Matches(g.Labels) {
			continue
		}
		for _, m := range g.Members {
			s.targets = append(s.targets, adminapi.ActionTarget{DeviceID: m.ID, EnrollmentID: m.EnrollmentID})
		}
	}
	if len(s.targets) == 0 {
		return &refusal{mdmv1alpha1.DeviceCommandNoTargets, "no enrolled device of the server matches target.selector: nothing was sent"}, nil
	}
	slices.SortFunc(s.targets, func(a, b adminapi.ActionTarget) int { return cmp.Compare(a.DeviceID, b.DeviceID) })
	return nil, nil
}

// resolveDevice takes the device of the one Device that is named. It waits for it until the deadline, but for a wipe: that is for the enrolment that
// it names and for no other.
func (r *Reconciler) resolveDevice(ctx context.Context, s *scope, left time.Duration) (*refusal, error) {
	name := s.command.Spec.Target.DeviceRef.Name
	device := &mdmv1alpha1.Device{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.command.Namespace, Name: name}, device)
	if apierrors.IsNotFound(err) {
		return nil, loop.Wait(mdmv1alpha1.DeviceCommandDeviceNotFound, left, "there is no Device %s; the command waits for it until its deadline", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Device %s: %w", name, err)
	}
	if device.Spec.ServerRef != s.command.Spec.ServerRef {
		return &refusal{mdmv1alpha1.DeviceCommandWrongServer, fmt.Sprintf("the Device %s belongs to the MDMServer %s: nothing was sent", name, device.Spec.ServerRef.Name)}, nil
	}
	found, known := roster.Find(s.server, device)
	if wipe := s.command.Spec.Action.Wipe; wipe != nil && !confirmed(wipe, found) {
		return &refusal{mdmv1alpha1.DeviceCommandConfirmationMismatch, "serialNumber and enrollmentID of the wipe are not those that the Device " + name +
			" has now: nothing was sent"}, nil
	}
	if !known || !roster.Manageable(found) {
		return nil, loop.Wait(mdmv1alpha1.DeviceCommandDeviceNotEnrolled, left, "the Device %s is not enrolled; the command waits for it until its deadline", name)
	}
	s.targets = []adminapi.ActionTarget{{DeviceID: found.ID, EnrollmentID: found.EnrollmentID}}
	return nil, nil
}

// confirmed says whether a wipe names exactly this device in exactly this live enrolment.
func confirmed(wipe *mdmv1alpha1.WipeAction, d adminapi.Device) bool {
	return d.State != adminapi.DeviceEnded && wipe.SerialNumber != "" && wipe.SerialNumber == d.SerialNumber &&
		wipe.EnrollmentID != "" && wipe.EnrollmentID == d.EnrollmentID
}
