package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/internal/selection"
)

// tellOthers says what tokens, commands and servers that change are about.
func (n *space) tellOthers(all []*Change) error {
	for _, c := range all {
		if c.Namespace != n.name || !c.differs() {
			continue
		}
		var err error
		switch c.Kind {
		case "EnrollmentToken":
			err = n.tellToken(c)
		case "DeviceCommand":
			err = n.tellCommand(c)
		case "MDMServer":
			devices := n.pick(func(d *mdmv1alpha1.Device) bool { return member(d) && d.Spec.ServerRef.Name == c.Name })
			c.note(look.Count(len(devices), "enrolled device belongs", "enrolled devices belong") + " to it")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pick names the Devices of which something holds after the change.
func (n *space) pick(which func(d *mdmv1alpha1.Device) bool) []string {
	names := []string{}
	for _, name := range n.deviceNames() {
		if d := n.devices[name].after; d != nil && which(d) {
			names = append(names, name)
		}
	}
	return names
}

// tellToken says what a device that enrols with a token gets. Devices that have enrolled with it keep the labels that they got.
func (n *space) tellToken(c *Change) error {
	token := &mdmv1alpha1.EnrollmentToken{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(c.after.Object, token); err != nil {
		return err
	}
	used := n.pick(func(d *mdmv1alpha1.Device) bool {
		return d.Status.Enrollment != nil && d.Status.Enrollment.Token == c.Name
	})
	if len(used) > 0 {
		c.note(look.Count(len(used), "device has", "devices have") + " enrolled with it, and keep what they have until they enrol again")
	}
	platforms := token.Spec.Platforms
	if len(platforms) == 0 {
		platforms = []mdmv1alpha1.Platform{mdmv1alpha1.PlatformApple, mdmv1alpha1.PlatformWindows}
	}
	for _, platform := range platforms {
		var names []string
		for _, name := range slices.Sorted(maps.Keys(n.profiles)) {
			p := n.profiles[name].after
			if p == nil || p.Spec.ServerRef != token.Spec.ServerRef {
				continue
			}
			if selects, err := selection.Profile(p); err == nil && !selection.Frozen(p) && selects(platform, n.labelsWith(token)) {
				names = append(names, name)
			}
		}
		c.note(fmt.Sprintf("a device of %s that enrols with it gets %s", platform, orNone(names, "the Profiles ", "no Profile")))
	}
	return nil
}

// labelsWith are those of a device that enrols with a token.
func (n *space) labelsWith(token *mdmv1alpha1.EnrollmentToken) labels.Set {
	all := labels.Set(maps.Clone(token.Spec.Labels))
	if ref := token.Spec.DeviceRef; ref != nil && n.devices[ref.Name] != nil && n.devices[ref.Name].after != nil {
		for key, value := range n.devices[ref.Name].after.Labels {
			all = with(all, key, value)
		}
	}
	return all
}

func orNone(names []string, before, none string) string {
	if len(names) == 0 {
		return none
	}
	return before + strings.Join(names, ", ")
}

// tellCommand says how many devices a command is for.
func (n *space) tellCommand(c *Change) error {
	command := &mdmv1alpha1.DeviceCommand{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(c.after.Object, command); err != nil {
		return err
	}
	if c.State == Changed {
		return nil // a command never changes; what does are its labels and its time to live
	}
	action := string(command.Spec.Action.Type)
	if ref := command.Spec.Target.DeviceRef; ref != nil {
		n.tellOne(c, ref.Name, action)
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(command.Spec.Target.Selector)
	if err != nil {
		return fmt.Errorf("reading the selector of %s: %w", c.Name, err)
	}
	names := n.pick(func(d *mdmv1alpha1.Device) bool {
		return member(d) && d.Spec.ServerRef == command.Spec.ServerRef && selector.Matches(labels.Set(d.Labels))
	})
	c.Devices = &Effect{Gain: names, Keep: []string{}, Lose: []string{}}
	if len(names) == 0 {
		c.note(action + ": no enrolled device of the server matches, and nothing would be sent")
	}
	return nil
}

// tellOne is about a command for one Device.
func (n *space) tellOne(c *Change, name, action string) {
	c.Devices = &Effect{Gain: []string{}, Keep: []string{}, Lose: []string{}}
	switch d := n.devices[name]; {
	case d == nil || d.after == nil:
		c.note(fmt.Sprintf("%s: there is no Device %s, and the command waits for it until its deadline", action, name))
	case !member(d.after):
		c.note(fmt.Sprintf("%s: %s is not enrolled, and the command waits for it until its deadline", action, name))
	default:
		c.Devices.Gain = []string{name}
	}
}
