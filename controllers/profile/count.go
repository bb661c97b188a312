package profile

import (
	"context"
	"time"

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

// hold says which removal waits for a person.
func (r *Reconciler) hold(_ context.Context, s *scope, report *loop.Report) error {
	d := s.decision
	if !d.Held {
		s.profile.Status.HeldRemoval = nil
		return nil
	}
	s.profile.Status.HeldRemoval = &mdmv1alpha1.HeldRemoval{Devices: int32(len(d.Losing)), Token: d.Token}
	report.True(mdmv1alpha1.ProfileTooManyRemovals, "%d devices would lose the profile, more than spec.removal.maxPercent allows at once, and keep it for now: "+
		"if this is meant, set spec.removal.acknowledge to %s; if not, take the change of selector or labels back", len(d.Losing), d.Token)
	return nil
}

// count writes how far the fleet is: what follows from another spec or content and the end of a rollout at once, progress in growing intervals.
func (r *Reconciler) count(ctx context.Context, s *scope, report *loop.Report) error {
	name := client.ObjectKeyFromObject(s.profile)
	status := &s.profile.Status
	was := meta.FindStatusCondition(status.Conditions, mdmv1alpha1.ProfileConverged)
	fresh := status.Digest != s.artifact.Digest || was.ObservedGeneration != s.profile.Generation
	if fresh {
		r.Pace.Restart(name)
	}
	if !counted(status, s.artifact) {
		if finished := settled(countersOf(s.artifact)) && !settled(countersIn(status)); !finished || fresh {
			s.late = r.Pace.Due(name)
		}
		if s.late > 0 {
			report.Again(s.late)
			report.Keep()
			return nil
		}
		if err := r.writeCounters(ctx, s); err != nil {
			return err
		}
	}
	judge(s, report)
	return nil
}

// counters are the numbers of a ProfileStatus.
type counters struct{ targeted, installed, pending, notNow, failed, removing int32 }

func countersOf(a *adminapi.ArtifactStatus) counters {
	return counters{int32(a.Targeted), int32(a.Installed), int32(a.Pending), int32(a.NotNow), int32(a.Failed), int32(a.Removing)}
}

func countersIn(s *mdmv1alpha1.ProfileStatus) counters {
	return counters{
		ptr.Deref(s.Targeted, 0), ptr.Deref(s.Installed, 0), ptr.Deref(s.Pending, 0),
		ptr.Deref(s.NotNow, 0), ptr.Deref(s.Failed, 0), ptr.Deref(s.Removing, 0),
	}
}

// settled says whether no device owes an answer.
func settled(c counters) bool { return c.pending == 0 && c.removing == 0 }

// counted says whether the status holds the counters.
func counted(s *mdmv1alpha1.ProfileStatus, a *adminapi.ArtifactStatus) bool {
	return s.Targeted != nil && s.Digest == a.Digest && countersIn(s) == countersOf(a)
}

func (r *Reconciler) writeCounters(ctx context.Context, s *scope) error {
	failing, err := r.failing(ctx, s)
	if err != nil {
		return err
	}
	c, status := countersOf(s.artifact), &s.profile.Status
	status.Digest, status.Failing = s.artifact.Digest, failing
	status.Targeted, status.Installed, status.Pending = &c.targeted, &c.installed, &c.pending
	status.NotNow, status.Failed, status.Removing = &c.notNow, &c.failed, &c.removing
	status.LastCountedAt = &metav1.Time{Time: r.Clock.Now().Truncate(time.Second)}
	return nil
}

// failing names the devices that refused it by their Devices.
func (r *Reconciler) failing(ctx context.Context, s *scope) ([]mdmv1alpha1.FailingDevice, error) {
	var all []mdmv1alpha1.FailingDevice
	for _, f := range s.artifact.Failing {
		claimants, err := roster.Claimants(ctx, r.Client, s.serverName(), s.server, f.DeviceID)
		if err != nil {
			return nil, err
		}
		if len(claimants) > 0 {
			all = append(all, mdmv1alpha1.FailingDevice{Device: claimants[0].Name, Message: convert.Text(f.Message, maxMessage), Since: convert.Time(f.Since)})
		}
	}
	return all, nil
}

// check is one reason why a Profile has not converged.
type check func(s *scope, c counters) (reason, message string, failed bool)

var checks = []check{refused, rollingOut, removing, held, nothingSelected}

// judge speaks of the counters that the status shows, so that both never disagree.
func judge(s *scope, report *loop.Report) {
	c := countersIn(&s.profile.Status)
	for _, holds := range checks {
		if reason, message, failed := holds(s, c); failed {
			report.False(reason, "%s", message)
			return
		}
	}
	report.True(mdmv1alpha1.ProfileInstalled, "every targeted device has it")
}

func refused(_ *scope, c counters) (reason, message string, failed bool) {
	return mdmv1alpha1.ProfileRefused, "some devices refused it, which status.failing explains: correct the profile, they are not asked again before", c.failed > 0
}

// rollingOut holds until all devices answered and the counters are about the devices that the Profile is for.
func rollingOut(s *scope, c counters) (reason, message string, failed bool) {
	return mdmv1alpha1.ProfileRollingOut, "some devices have not answered yet",
		c.pending > 0 || !s.decision.Told(s.key, s.groups) || int(c.targeted) != s.server.Targeted(s.key)
}

func removing(_ *scope, c counters) (reason, message string, failed bool) {
	return mdmv1alpha1.ProfileRemoving, "some devices still have it and should not", c.removing > 0
}

func held(s *scope, _ counters) (reason, message string, failed bool) {
	return mdmv1alpha1.ProfileTooManyRemovals, "a removal waits to be acknowledged, see RemovalHeld", s.decision.Held
}

func nothingSelected(s *scope, c counters) (reason, message string, failed bool) {
	return mdmv1alpha1.ProfileNothingSelected, "no enrolled " + string(s.profile.Spec.Platform()) + " device of the server matches: check selector and excludeSelector against the labels of your Devices", c.targeted == 0
}
