package automatedenrollment

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/set"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// plan is the name of the profile that each listed device should have, by serial number: "" for none.
type plan struct{ profiles map[string]string }

// rule decides whether one profile is for a device.
type rule struct {
	name    string
	serials set.Set[string]
	selects labels.Selector
}

func newPlan(s *scope, speakers map[string]*mdmv1alpha1.Device) *plan {
	rules := make([]rule, 0, len(s.object.Spec.Profiles))
	for i := range s.object.Spec.Profiles {
		rules = append(rules, ruleOf(&s.object.Spec.Profiles[i]))
	}
	p := &plan{profiles: make(map[string]string, len(s.account.list))}
	for serial := range s.account.list {
		d := speakers[serial]
		if d == nil || d.Spec.Listing == nil || d.Spec.Listing.AutomatedEnrollment != s.object.Name {
			continue // refused by the API server, or listed by another one since
		}
		p.profiles[serial] = choose(rules, serial, d.Labels)
	}
	return p
}

// ruleOf reads a profile. One without serialNumbers and selector is for all; validation has seen the selector.
func ruleOf(p *mdmv1alpha1.SetupProfile) rule {
	r := rule{name: p.Name, serials: set.New(p.SerialNumbers...), selects: labels.Nothing()}
	switch {
	case p.Selector != nil:
		if selector, err := metav1.LabelSelectorAsSelector(p.Selector); err == nil {
			r.selects = selector
		}
	case len(p.SerialNumbers) == 0:
		r.selects = labels.Everything()
	}
	return r
}

// choose returns the name of the first profile that is for a device, "" if none is.
func choose(rules []rule, serial string, of labels.Set) string {
	for _, r := range rules {
		if r.serials.Has(serial) || r.selects.Matches(of) {
			return r.name
		}
	}
	return ""
}
