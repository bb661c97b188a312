package devicecommand

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/ade"
	"github.com/kubemdm/kubemdm/internal/validate"
)

const (
	// startAgain is the pause between the note that Apple is about to be asked and the question.
	startAgain = time.Second
	// appleAgain is the pause before Apple is asked again that did not answer.
	appleAgain = time.Minute
)

// disowning is what one step of a disown hands to the next.
type disowning struct {
	*scope
	device *mdmv1alpha1.Device
	// begun says that Apple may have been asked already: what it does not list any more was disowned.
	begun bool
}

// disown are the steps of a command that Apple does and no device: it never reaches the server.
func (r *Reconciler) disown(s *scope) []loop.Step {
	d := &disowning{scope: s, begun: s.command.Status.StartedAt != nil}
	step := func(condition string, run func(context.Context, *disowning, *loop.Report) error) loop.Step {
		return loop.Step{Condition: condition, Run: func(ctx context.Context, report *loop.Report) error { return run(ctx, d, report) }}
	}
	return []loop.Step{
		step(mdmv1alpha1.DeviceCommandAccepted, r.acceptDisown),
		step(mdmv1alpha1.DeviceCommandPublished, r.askApple),
		s.step(mdmv1alpha1.DeviceCommandSucceeded, r.succeeded),
		s.step(mdmv1alpha1.DeviceCommandFailed, r.failed),
		s.step("", r.expire),
		s.step("", r.rest),
	}
}

// acceptDisown compares the confirmations with the Device, as for a wipe.
func (r *Reconciler) acceptDisown(ctx context.Context, d *disowning, report *loop.Report) error {
	valid := loop.Admit(mdmv1alpha1.DeviceCommandAccepted, func() field.ErrorList { return validate.DeviceCommand(d.command) })
	if err := valid.Run(ctx, report); err != nil {
		return err
	}
	name, left := d.command.Spec.Target.DeviceRef.Name, deadline(d.command).Sub(r.Clock.Now())
	if left <= 0 {
		return d.refuse(r, report, mdmv1alpha1.DeviceCommandDeadlineExceeded, "the deadline passed before Apple could be asked")
	}
	d.device = &mdmv1alpha1.Device{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: d.command.Namespace, Name: name}, d.device)
	if apierrors.IsNotFound(err) {
		return loop.Wait(mdmv1alpha1.DeviceCommandDeviceNotFound, left, "there is no Device %s; the command waits for it until its deadline", name)
	}
	if err != nil {
		return fmt.Errorf("reading the Device %s: %w", name, err)
	}
	confirmed, enrolment := d.command.Spec.Action.Disown, ""
	if e := d.device.Status.Enrollment; e != nil {
		enrolment = e.ID
	}
	listing := d.device.Spec.Listing
	switch {
	case d.device.Spec.ServerRef != d.command.Spec.ServerRef:
		return d.refuse(r, report, mdmv1alpha1.DeviceCommandWrongServer,
			fmt.Sprintf("the Device %s belongs to the MDMServer %s: Apple was not asked", name, d.device.Spec.ServerRef.Name))
	case confirmed.SerialNumber != d.device.Spec.SerialNumber || confirmed.EnrollmentID != enrolment:
		return d.refuse(r, report, mdmv1alpha1.DeviceCommandConfirmationMismatch,
			"serialNumber and enrollmentID of the disown are not those that the Device "+name+" has now: Apple was not asked")
	case listing == nil || listing.State != mdmv1alpha1.ListingListed && !d.begun:
		return d.refuse(r, report, mdmv1alpha1.DeviceCommandNotListed, "Apple lists no such device for an AutomatedEnrollment: there is nothing to disown")
	}
	return nil
}

// refuse ends the command for good before Apple was asked.
func (d *disowning) refuse(r *Reconciler, report *loop.Report, reason, message string) error {
	d.refused = &refusal{reason, message}
	d.command.Status.FinishedAt, d.command.Status.Total = convert.Time(r.Clock.Now()), new(int32)
	report.False(reason, "%s", message)
	return nil
}

// askApple notes that it begins, and in the next pass asks Apple. So a manager that is killed in between knows that the device may be gone by its own doing.
func (r *Reconciler) askApple(ctx context.Context, d *disowning, report *loop.Report) error {
	status := &d.command.Status
	if d.refused != nil {
		report.False(d.refused.reason, "Apple was not asked")
		return nil
	}
	if !d.begun {
		status.StartedAt, status.Total, status.Counts = convert.Time(r.Clock.Now()), new(int32(1)), &mdmv1alpha1.CommandCounts{Queued: 1}
		report.Again(startAgain)
		report.False(mdmv1alpha1.DeviceCommandRunning, "Apple is about to be asked")
		return nil
	}
	session := r.Apple.Session(types.NamespacedName{Namespace: d.command.Namespace, Name: d.device.Spec.Listing.AutomatedEnrollment})
	if session == nil {
		return loop.Wait(mdmv1alpha1.DeviceCommandAppleUnavailable, appleAgain, "the AutomatedEnrollment %s has no connection to Apple: see its conditions",
			d.device.Spec.Listing.AutomatedEnrollment)
	}
	serial := d.device.Spec.SerialNumber
	results, err := session.Disown(ctx, []string{serial})
	var failure *ade.Failure
	if errors.As(err, &failure) {
		return loop.Wait(mdmv1alpha1.DeviceCommandAppleUnavailable, max(failure.RetryAfter, appleAgain), "%s", failure.Message)
	}
	if err != nil {
		return err
	}
	d.finish(results[serial], r.Clock.Now())
	return nil
}

// finish writes what Apple answered.
func (d *disowning) finish(result ade.Result, now time.Time) {
	status := &d.command.Status
	outcome := mdmv1alpha1.CommandResult{Device: d.device.Name, State: "Succeeded", Message: "Apple does not list the device any more", FinishedAt: convert.Time(now)}
	status.Counts = &mdmv1alpha1.CommandCounts{Succeeded: 1}
	if result != ade.Success && (result != ade.NotAccessible || d.device.Spec.Listing.State == mdmv1alpha1.ListingListed) {
		outcome.State, outcome.Message = "Failed", "Apple answered "+string(result)+": see in Apple Business Manager that the device is assigned to this server and may be released"
		status.Counts = &mdmv1alpha1.CommandCounts{Failed: 1}
	}
	status.Results = []mdmv1alpha1.CommandResult{outcome}
	status.FinishedAt = &metav1.Time{Time: now.Truncate(time.Second)}
}
