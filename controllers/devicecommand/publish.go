package devicecommand

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// conflictAgain is how often a name is tried again that another command holds at the server.
const conflictAgain = 30 * time.Second

// publish hands the command to the server, which keeps the first list of targets that it gets. A server that has started again holds what cannot be taken
// back until it is told once more.
func (r *Reconciler) publish(ctx context.Context, s *scope, report *loop.Report) error {
	if s.refused != nil {
		report.False(s.refused.reason, "nothing was sent")
		return nil
	}
	if s.action != nil && !s.action.Held {
		return nil
	}
	if s.action != nil {
		s.targets = targetsOf(s.action)
	}
	action := adminapi.Action{Key: s.key, SpecHash: specHash(s.command), Deadline: deadline(s.command).UTC(), Targets: s.targets}
	if err := r.translate(ctx, s.command, &action, report); err != nil {
		return err
	}
	status, err := s.server.PutAction(ctx, action)
	if adminapi.CodeOf(err) == adminapi.CodeSpecConflict {
		return loop.Wait(mdmv1alpha1.DeviceCommandSpecConflict, conflictAgain,
			"an earlier command of this name and with another spec still runs at the server: wait for it, or use another name")
	}
	s.action = status
	return link.Halt(err)
}

// targetsOf are targets that the server named. It has the whole list and takes no other.
func targetsOf(a *adminapi.ActionStatus) []adminapi.ActionTarget {
	var targets []adminapi.ActionTarget
	for _, r := range a.Results {
		targets = append(targets, adminapi.ActionTarget{DeviceID: r.DeviceID, EnrollmentID: r.EnrollmentID})
	}
	return targets
}

// cancel closes what was not delivered of a command that goes before it has finished.
func (r *Reconciler) cancel(ctx context.Context, s *scope, report *loop.Report) error {
	r.Pace.Restart(s.name())
	if s.command.Status.FinishedAt != nil || s.command.Spec.Action.Type == mdmv1alpha1.ActionDisown {
		return nil
	}
	server, err := r.Links.Find(ctx, r.Client, s.command.Namespace, s.command.Spec.ServerRef.Name)
	if errors.Is(err, link.ErrNotFound) {
		report.False(mdmv1alpha1.ReasonServerNotFound, "the MDMServer is gone: there is nobody to cancel the command at")
		return nil
	}
	if err != nil {
		return link.Halt(err)
	}
	s.connect(server)
	if action, known := server.Action(s.key); !known || action.SpecHash != specHash(s.command) {
		return nil
	}
	return link.Halt(server.Client().CancelAction(ctx, s.key))
}

// specHash is the hash of what the command is about. Deadline and time to live are not part of it: a command that is applied anew is the same one.
func specHash(c *mdmv1alpha1.DeviceCommand) string {
	b, _ := json.Marshal(struct { // such types always marshal
		Target mdmv1alpha1.CommandTarget
		Action mdmv1alpha1.CommandAction
	}{c.Spec.Target, c.Spec.Action})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
