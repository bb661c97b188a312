package act

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doing"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// prefixLimit bounds generated names, to which the API server adds five characters.
const prefixLimit = 200

// command makes the DeviceCommand for a target. hint is a part of its generated name.
func (a *act) command(s *cli.Session, server mdmv1alpha1.LocalReference, hint string, target mdmv1alpha1.CommandTarget) *mdmv1alpha1.DeviceCommand {
	c := &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: a.name}}
	if a.name == "" {
		prefix := a.verb.name + hint
		c.GenerateName = strings.TrimRight(prefix[:min(len(prefix), prefixLimit)], "-.") + "-"
	}
	c.Spec = mdmv1alpha1.DeviceCommandSpec{
		ServerRef: server, Target: target, Action: mdmv1alpha1.CommandAction{Type: a.verb.action}, ActiveDeadlineSeconds: int64(a.deadline.Seconds()),
	}
	switch a.verb.action {
	case mdmv1alpha1.ActionLock:
		if a.lock != (mdmv1alpha1.LockAction{}) {
			c.Spec.Action.Lock = new(a.lock)
		}
	case mdmv1alpha1.ActionWipe:
		c.Spec.Action.Wipe = new(a.wipe)
	}
	return c
}

// prepareSelected makes the one command for the devices that a selector selects. The operator resolves the selector anew; the devices are counted here for the
// person who is asked.
func (a *act) prepareSelected(ctx context.Context, s *cli.Session) ([]*mdmv1alpha1.DeviceCommand, string, error) {
	selector, err := metav1.ParseToLabelSelector(a.selector)
	if err != nil {
		return nil, "", fmt.Errorf("reading --selector: %w", err)
	}
	names, servers, err := a.selected(ctx, s, selector)
	switch {
	case err != nil:
		return nil, "", err
	case len(servers) > 1:
		return nil, "", fmt.Errorf("the devices belong to several MDMServers, and a command is for one: name it with --server (%s)", strings.Join(servers, ", "))
	}
	const few = 5
	shown := strings.Join(names[:min(few, len(names))], ", ")
	if len(names) > few {
		shown += fmt.Sprintf(" and %d more", len(names)-few)
	}
	question := fmt.Sprintf("This will %s %s of the MDMServer %s: %s. Go on?", a.verb.does, look.Count(len(names), "device", "devices"), servers[0], shown)
	c := a.command(s, mdmv1alpha1.LocalReference{Name: servers[0]}, "", mdmv1alpha1.CommandTarget{Selector: selector})
	return []*mdmv1alpha1.DeviceCommand{c}, question, nil
}

// selected names the enrolled Devices that are selected, and their servers: at least one of both.
func (a *act) selected(ctx context.Context, s *cli.Session, selector *metav1.LabelSelector) (names, servers []string, err error) {
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, nil, fmt.Errorf("reading --selector: %w", err)
	}
	list := &mdmv1alpha1.DeviceList{}
	if err := look.All(ctx, a.env, s, list, "devices", client.InNamespace(s.Namespace), client.MatchingLabelsSelector{Selector: matches}); err != nil {
		return nil, nil, err
	}
	for i := range list.Items {
		d := &list.Items[i]
		of := d.Spec.ServerRef.Name
		if !doing.Enrolled(d) || a.server != "" && a.server != of {
			continue
		}
		names = append(names, d.Name)
		if !slices.Contains(servers, of) {
			servers = append(servers, of)
		}
	}
	slices.Sort(names)
	slices.Sort(servers)
	if len(names) == 0 {
		return nil, nil, fmt.Errorf("no enrolled device %s has the labels %s: nothing was sent", look.Where(s.Namespace), a.selector)
	}
	return names, servers, nil
}

// create creates the commands. When one is refused, those before it are there, and it says which.
func (a *act) create(ctx context.Context, s *cli.Session, commands []*mdmv1alpha1.DeviceCommand) (made []*mdmv1alpha1.DeviceCommand, err error) {
	for i, c := range commands {
		err := a.createOne(ctx, s, c)
		if err != nil && i > 0 {
			return nil, fmt.Errorf("%d of %d commands were created, then one was refused: %w", i, len(commands), err)
		}
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Fprintf(a.env.Out, "devicecommand.mdm.kubemdm.io/%s created\n", c.Name); err != nil {
			return nil, err
		}
		made = append(made, c)
	}
	return made, nil
}

func (a *act) createOne(ctx context.Context, s *cli.Session, c *mdmv1alpha1.DeviceCommand) error {
	ctx, cancel := context.WithTimeout(ctx, doing.Deadline)
	defer cancel()
	return doing.Refusal(s.Create(ctx, c, client.FieldOwner(cli.FieldManager)))
}
