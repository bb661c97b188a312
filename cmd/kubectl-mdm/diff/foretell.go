package diff

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/internal/selection"
)

// foretell says which devices would notice the changes.
func (o *diff) foretell(ctx context.Context, s *cli.Session, r *report) error {
	spaces := map[string]bool{}
	for _, c := range r.Changes {
		if c.differs() {
			spaces[c.Namespace] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(spaces)) {
		n, err := o.load(ctx, s, name, r)
		if err != nil {
			return err
		}
		if err := n.change(r.Changes); err != nil {
			return err
		}
		n.tellProfiles(r)
		n.tellAutomated()
		if err := n.tellOthers(r.Changes); err != nil {
			return err
		}
	}
	return nil
}

// tellProfiles says of each Profile who gains, keeps and loses it, and of each Device that is in the files, which Profiles change for it.
func (n *space) tellProfiles(r *report) {
	for _, name := range slices.Sorted(maps.Keys(n.profiles)) {
		p := n.profiles[name]
		if p.after == nil {
			continue
		}
		e := n.effect(p)
		n.tellDevices(name, e)
		switch {
		case p.change != nil && p.change.differs():
			p.change.Devices = e
			n.remark(p, e)
		case !e.none():
			r.Follows = append(r.Follows, &Follower{Namespace: n.name, Name: name, Effect: *e})
		}
	}
}

// effect compares who has a Profile with who will have it.
func (n *space) effect(p *pair[mdmv1alpha1.Profile]) *Effect {
	e := &Effect{Gain: []string{}, Keep: []string{}, Lose: []string{}}
	var was selection.Selector
	if p.before != nil {
		was, _ = selection.Profile(p.before) // one that cannot be read selects nobody anew
		e.Updated = !reflect.DeepEqual(payloadOf(p.before), payloadOf(p.after))
	}
	will, err := selection.Profile(p.after)
	if err != nil || selection.Frozen(p.after) {
		return e
	}
	server := p.after.Spec.ServerRef.Name
	for _, name := range n.deviceNames() {
		d := n.devices[name]
		if !member(d.after) {
			if awaits(d.after, will, p.after) {
				e.Awaited = append(e.Awaited, name)
			}
			continue
		}
		switch had, has := member(d.before) && selectedBy(was, server, d.before), selectedBy(will, server, d.after); {
		case had && has:
			e.Keep = append(e.Keep, name)
		case has:
			e.Gain = append(e.Gain, name)
		case had:
			e.Lose = append(e.Lose, name)
		}
	}
	e.Held = len(e.Lose) > selection.Removable(p.after, len(e.Keep)+len(e.Lose))
	return e
}

// awaits says whether a device that is not enrolled would have a Profile as soon as it is. Its platform may not be known yet.
func awaits(d *mdmv1alpha1.Device, selects selection.Selector, p *mdmv1alpha1.Profile) bool {
	if d == nil || d.DeletionTimestamp != nil || d.Spec.ServerRef != p.Spec.ServerRef {
		return false
	}
	if e := d.Status.Enrollment; e != nil && e.State == mdmv1alpha1.EnrollmentEnrolled {
		return false // paused, or another one speaks for the device
	}
	platform := d.Status.Platform
	if platform == "" {
		platform = p.Spec.Platform()
	}
	if d.Spec.Listing != nil {
		platform = mdmv1alpha1.PlatformApple
	}
	return selects(platform, labels.Set(d.Labels))
}

// payloadOf is what devices get of a Profile, without whom it is for.
func payloadOf(p *mdmv1alpha1.Profile) mdmv1alpha1.ProfileSpec {
	spec := *p.Spec.DeepCopy()
	spec.Selector, spec.ExcludeSelector, spec.DeletionPolicy, spec.Removal = nil, nil, "", mdmv1alpha1.ProfileRemoval{}
	return spec
}

// remark says what else there is to know of a Profile that changes.
func (n *space) remark(p *pair[mdmv1alpha1.Profile], e *Effect) {
	switch {
	case selection.Paused(p.after):
		p.change.warn("it is paused, so that devices stay as they are")
	case e.Held && p.after.Spec.Removal.Acknowledge != "":
		p.change.warn(guard(p.after, e) + ", unless spec.removal.acknowledge is for exactly these devices")
	case e.Held:
		p.change.warn(guard(p.after, e) + " until somebody acknowledges it: status.heldRemoval says how")
	}
}

// guard says why the removal guard of a Profile would hold.
func guard(p *mdmv1alpha1.Profile, e *Effect) string {
	having := len(e.Keep) + len(e.Lose)
	return fmt.Sprintf("the removal guard would hold: %d of %s would lose it, and %d may at once; nobody loses it",
		len(e.Lose), look.Count(having, "device", "devices"), selection.Removable(p, having))
}

// tellDevices writes down for Devices in the files what they gain and lose.
func (n *space) tellDevices(profile string, e *Effect) {
	for _, name := range e.Gain {
		if c := n.devices[name].change; c != nil {
			c.Gains = append(c.Gains, profile)
		}
	}
	for _, name := range e.Lose {
		if c := n.devices[name].change; c != nil {
			c.Loses = append(c.Loses, profile)
		}
	}
}
