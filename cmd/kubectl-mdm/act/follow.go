package act

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// follow waits for all commands, until one time, and shows what became of them.
func (a *act) follow(ctx context.Context, s *cli.Session, made []*mdmv1alpha1.DeviceCommand) error {
	limited, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	var failed, late []error
	for i, c := range made {
		done, err := a.await(limited, s, c)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil {
			late = append(late, fmt.Errorf("%s: %w", c.Name, err))
			continue
		}
		made[i] = done
		if err := a.show(done); err != nil {
			return err
		}
		if meta.IsStatusConditionTrue(done.Status.Conditions, mdmv1alpha1.DeviceCommandFailed) {
			failed = append(failed, fmt.Errorf("%s: %s", done.Name, outcome(done)))
		}
	}
	if err := a.afterwards(made); err != nil {
		return err
	}
	return errors.Join(append(failed, late...)...)
}

func (a *act) await(ctx context.Context, s *cli.Session, c *mdmv1alpha1.DeviceCommand) (*mdmv1alpha1.DeviceCommand, error) {
	return cli.Wait[mdmv1alpha1.DeviceCommand, *mdmv1alpha1.DeviceCommand]{
		Key: client.ObjectKeyFromObject(c), List: &mdmv1alpha1.DeviceCommandList{}, Timeout: a.timeout,
		Done: func(c *mdmv1alpha1.DeviceCommand) (bool, error) {
			if c.Annotations[mdmv1alpha1.AnnotationPaused] == "true" {
				return false, errors.New("it is paused (annotation " + mdmv1alpha1.AnnotationPaused + ")")
			}
			return c.Status.FinishedAt != nil && meta.FindStatusCondition(c.Status.Conditions, mdmv1alpha1.DeviceCommandSucceeded) != nil, nil
		},
		Doing: doingNow,
		Late: "The command goes on until its deadline: kubectl get devicecommand " + c.Name + " shows how far it is, kubectl delete devicecommand " + c.Name +
			" cancels it",
	}.For(ctx, a.env, s)
}

// doingNow says how far a command is.
func doingNow(c *mdmv1alpha1.DeviceCommand) string {
	for _, name := range []string{mdmv1alpha1.DeviceCommandAccepted, mdmv1alpha1.DeviceCommandPublished} {
		condition := meta.FindStatusCondition(c.Status.Conditions, name)
		switch {
		case condition == nil || condition.Reason == mdmv1alpha1.ReasonPending:
			return "the operator has not seen " + c.Name + " yet"
		case condition.Status != "True":
			return c.Name + ": " + condition.Message
		}
	}
	total, counts := ptr.Deref(c.Status.Total, 0), ptr.Deref(c.Status.Counts, mdmv1alpha1.CommandCounts{})
	open := counts.Queued + counts.Delivered + counts.NotNow
	text := fmt.Sprintf("%s: %d of %d answered", c.Name, total-open, total)
	if parts := split(counts); len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

// split tells devices by state, in words.
func split(counts mdmv1alpha1.CommandCounts) []string {
	var parts []string
	for _, part := range []struct {
		n    int32
		what string
	}{
		{counts.Queued, "queued"}, {counts.Delivered, "delivered"}, {counts.NotNow, "not now"}, {counts.Succeeded, "succeeded"}, {counts.Unconfirmed, "unconfirmed"},
		{counts.Failed, "failed"}, {counts.EnrolmentEnded, "enrolment ended"}, {counts.Expired, "expired"}, {counts.Canceled, "cancelled"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return parts
}

// outcome is the operator's sentence about a command that has finished.
func outcome(c *mdmv1alpha1.DeviceCommand) string {
	for _, name := range []string{mdmv1alpha1.DeviceCommandFailed, mdmv1alpha1.DeviceCommandSucceeded} {
		if condition := meta.FindStatusCondition(c.Status.Conditions, name); condition != nil {
			return condition.Message
		}
	}
	return "finished"
}

// states of results, and how well they are.
var states = map[mdmv1alpha1.CommandState]look.State{"Succeeded": look.Well, "Unconfirmed": look.Well, "Queued": look.Waits, "Delivered": look.Waits, "NotNow": look.Waits}

// show lists the results of a command, those that failed first.
func (a *act) show(c *mdmv1alpha1.DeviceCommand) error {
	p := look.NewPrinter(a.env)
	results := slices.Clone(c.Status.Results)
	state := func(r mdmv1alpha1.CommandResult) look.State {
		if s, known := states[r.State]; known {
			return s
		}
		return look.Wrong
	}
	slices.SortStableFunc(results, func(x, y mdmv1alpha1.CommandResult) int {
		return cmp.Or(cmp.Compare(state(y), state(x)), cmp.Compare(x.Device, y.Device))
	})
	rows := make([]look.Row, 0, len(results))
	for _, r := range results {
		rows = append(rows, look.Row{Mark: p.Mark(state(r)), Cells: []string{r.Device, string(r.State), r.Message}})
	}
	if len(rows) > 0 {
		p.Table([]string{"DEVICE", "STATE", "MESSAGE"}, rows)
	}
	total := ptr.Deref(c.Status.Total, 0)
	if more := int(total) - len(rows); more > 0 && len(rows) > 0 {
		p.Line("  and %d more, which only the server knows by name", more)
	}
	if parts := split(ptr.Deref(c.Status.Counts, mdmv1alpha1.CommandCounts{})); len(parts) > 0 {
		p.Line("%s: %s", look.Count(total, "device", "devices"), strings.Join(parts, ", "))
	}
	return p.Err
}

// afterwards says what to do next.
func (a *act) afterwards(made []*mdmv1alpha1.DeviceCommand) error {
	for _, c := range made {
		pin := mdmv1alpha1.PINNone
		switch {
		case c.Spec.Action.Type == mdmv1alpha1.ActionLock:
			pin = cmp.Or(ptr.Deref(c.Spec.Action.Lock, mdmv1alpha1.LockAction{}).PIN, mdmv1alpha1.PINGenerate)
		case c.Spec.Action.Wipe != nil:
			pin = cmp.Or(c.Spec.Action.Wipe.PIN, mdmv1alpha1.PINGenerate)
		}
		if pin != mdmv1alpha1.PINGenerate || c.Status.FinishedAt != nil && c.Status.PINSecretRef == nil {
			continue
		}
		if err := a.note("A Mac asks for a PIN. Once it has the command, kubectl mdm pin %s shows it to who may know it", c.Name); err != nil {
			return err
		}
	}
	return nil
}
