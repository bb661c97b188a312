package devicecommand

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxMessage bounds a device's reason in the status, in characters.
const maxMessage = 1024

// space decides whether progress is written now: the beginning and the end at once, what is between them in growing intervals.
func (r *Reconciler) space(_ context.Context, s *scope, report *loop.Report) error {
	status := s.command.Status
	switch {
	case s.refused != nil || !s.action.FinishedAt.IsZero() || equality.Semantic.DeepEqual(ptr.Deref(status.Counts, mdmv1alpha1.CommandCounts{}), countsOf(s.action)):
		return nil
	case status.StartedAt == nil:
		r.Pace.Restart(s.name())
	}
	s.late = r.Pace.Due(s.name())
	report.Again(s.late)
	return nil
}

// observe writes how far the devices are.
func (r *Reconciler) observe(ctx context.Context, s *scope, _ *loop.Report) error {
	status := &s.command.Status
	if s.refused != nil {
		status.FinishedAt = &metav1.Time{Time: r.Clock.Now().Truncate(time.Second)}
		status.Total = new(int32)
		return nil
	}
	if s.late > 0 {
		return nil
	}
	results, err := r.results(ctx, s)
	if err != nil {
		return err
	}
	status.StartedAt, status.FinishedAt = convert.Time(s.action.CreatedAt), convert.Time(s.action.FinishedAt)
	status.Total = new(int32(s.action.Total))
	status.Counts = new(countsOf(s.action))
	status.Results = results
	return nil
}

func countsOf(a *adminapi.ActionStatus) mdmv1alpha1.CommandCounts {
	of := func(state adminapi.TargetState) int32 { return int32(a.Counts[state]) }
	return mdmv1alpha1.CommandCounts{
		Queued: of(adminapi.TargetQueued), Delivered: of(adminapi.TargetDelivered), NotNow: of(adminapi.TargetNotNow),
		Succeeded: of(adminapi.TargetSucceeded), Failed: of(adminapi.TargetFailed), Unconfirmed: of(adminapi.TargetUnconfirmed),
		EnrolmentEnded: of(adminapi.TargetEnrolmentEnded), Expired: of(adminapi.TargetExpired), Canceled: of(adminapi.TargetCanceled),
	}
}

func (r *Reconciler) results(ctx context.Context, s *scope) ([]mdmv1alpha1.CommandResult, error) {
	var results []mdmv1alpha1.CommandResult
	named := map[string]bool{}
	for _, result := range s.action.Results {
		device, err := r.deviceName(ctx, s, result.DeviceID)
		if err != nil {
			return nil, err
		}
		if device == "" || named[device] {
			continue // its Device has gone; the counts have it
		}
		named[device] = true
		results = append(results, mdmv1alpha1.CommandResult{
			Device: device, State: mdmv1alpha1.CommandState(result.State), Message: convert.Text(result.Message, maxMessage), FinishedAt: convert.Time(result.FinishedAt),
		})
	}
	return results, nil
}

// deviceName is the name of the Device that speaks for a target, or "".
func (r *Reconciler) deviceName(ctx context.Context, s *scope, id string) (string, error) {
	claimants, err := roster.Claimants(ctx, r.Client, s.serverName(), s.server, id)
	if err != nil || len(claimants) == 0 {
		return "", err
	}
	return claimants[0].Name, nil
}

func (r *Reconciler) succeeded(_ context.Context, s *scope, report *loop.Report) error {
	reason, message := s.outcome()
	if reason == mdmv1alpha1.DeviceCommandDone {
		report.True(reason, "%s", message)
	} else {
		report.False(reason, "%s", message)
	}
	return nil
}

func (r *Reconciler) failed(_ context.Context, s *scope, report *loop.Report) error {
	if reason, message := s.outcome(); reason != mdmv1alpha1.DeviceCommandDone && reason != mdmv1alpha1.DeviceCommandRunning {
		report.True(reason, "%s", message)
	}
	return nil
}

// outcome sums the status up.
func (s *scope) outcome() (reason, message string) {
	status := s.command.Status
	counts := ptr.Deref(status.Counts, mdmv1alpha1.CommandCounts{})
	switch undone := counts.Failed + counts.EnrolmentEnded + counts.Canceled; {
	case s.refused != nil:
		return s.refused.reason, s.refused.message
	case status.FinishedAt == nil:
		return mdmv1alpha1.DeviceCommandRunning, fmt.Sprintf("%d devices have not answered yet", counts.Queued+counts.Delivered+counts.NotNow)
	case undone > 0:
		return mdmv1alpha1.DeviceCommandSomeFailed, fmt.Sprintf("%d devices did not do it, which status.results explains", undone+counts.Expired)
	case counts.Expired > 0:
		return mdmv1alpha1.DeviceCommandDeadlineExceeded, fmt.Sprintf("%d devices were not reached before the deadline: write a new command for them", counts.Expired)
	case counts.Unconfirmed > 0:
		return mdmv1alpha1.DeviceCommandDone, fmt.Sprintf("every device did it or took it; %d never confirmed it, as is usual when they go down", counts.Unconfirmed)
	}
	return mdmv1alpha1.DeviceCommandDone, "every device did it"
}

// acknowledge takes note of a row about a command that has finished. Nothing of it is written or sent any more.
func (r *Reconciler) acknowledge(ctx context.Context, s *scope, _ *loop.Report) error {
	if server, err := r.Links.Find(ctx, r.Client, s.command.Namespace, s.command.Spec.ServerRef.Name); err == nil {
		s.connect(server)
	}
	return nil
}

// expire deletes a command whose time to live is over.
func (r *Reconciler) expire(ctx context.Context, s *scope, report *loop.Report) error {
	finished, ttl := s.command.Status.FinishedAt, s.command.Spec.TTLSecondsAfterFinished
	if finished == nil || ttl == nil {
		return nil
	}
	if left := finished.Add(time.Duration(*ttl) * time.Second).Sub(r.Clock.Now()); left > 0 {
		report.Again(left)
		return nil
	}
	err := r.Client.Delete(ctx, s.command.DeepCopy(), client.Preconditions{UID: &s.command.UID})
	return client.IgnoreNotFound(err)
}

// rest stalls a command of which nothing was sent: its spec never changes, so that only another one can help.
func (r *Reconciler) rest(_ context.Context, s *scope, _ *loop.Report) error {
	accepted := meta.FindStatusCondition(s.command.Status.Conditions, mdmv1alpha1.DeviceCommandAccepted)
	if s.command.Status.FinishedAt == nil || accepted.Status == metav1.ConditionTrue {
		return nil
	}
	return loop.Stall(accepted.Reason, "%s", accepted.Message)
}
