package diff

import (
	"reflect"

	"k8s.io/apimachinery/pkg/labels"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
	"github.com/kubemdm/kubemdm/internal/selection"
)

// setups are the effects of the setup profiles of an AutomatedEnrollment, by their names.
type setups struct {
	was, will     selection.SetupProfiles
	before, after map[string]mdmv1alpha1.SetupProfile
	effects       map[string]Effect
}

// tellAutomated says which setup profile listed devices would get.
func (n *space) tellAutomated() {
	for name, p := range n.automated {
		if p.after == nil || p.change == nil || !p.change.differs() {
			continue
		}
		s := &setups{
			will: selection.ReadSetupProfiles(p.after.Spec.Profiles), after: byName(p.after.Spec.Profiles), effects: map[string]Effect{},
		}
		if p.before != nil {
			s.was, s.before = selection.ReadSetupProfiles(p.before.Spec.Profiles), byName(p.before.Spec.Profiles)
		}
		for _, device := range n.deviceNames() {
			if d := n.devices[device]; d.before != nil && listedBy(d.after, name) {
				s.add(device, d)
			}
		}
		p.change.Setups = s.effects
	}
}

// add takes account of one listed device.
func (s *setups) add(name string, d *pair[mdmv1alpha1.Device]) {
	serial := look.Serial(d.after)
	had, has := s.was.Choose(serial, labels.Set(d.before.Labels)), s.will.Choose(serial, labels.Set(d.after.Labels))
	change := func(profile string, with func(e *Effect)) {
		if profile == "" {
			return
		}
		e, known := s.effects[profile]
		if !known {
			e = Effect{Gain: []string{}, Keep: []string{}, Lose: []string{}, Updated: s.updated(profile)}
		}
		with(&e)
		s.effects[profile] = e
	}
	if had == has {
		change(has, func(e *Effect) { e.Keep = append(e.Keep, name) })
		return
	}
	change(has, func(e *Effect) { e.Gain = append(e.Gain, name) })
	change(had, func(e *Effect) { e.Lose = append(e.Lose, name) })
}

func byName(profiles []mdmv1alpha1.SetupProfile) map[string]mdmv1alpha1.SetupProfile {
	all := map[string]mdmv1alpha1.SetupProfile{}
	for i := range profiles {
		all[profiles[i].Name] = profiles[i]
	}
	return all
}

// updated says whether devices that keep a setup profile get another content of it.
func (s *setups) updated(name string) bool {
	was, will := s.before[name], s.after[name]
	was.Selector, will.Selector, was.SerialNumbers, will.SerialNumbers = nil, nil, nil, nil
	return !reflect.DeepEqual(was, will)
}
