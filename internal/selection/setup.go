package selection

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/set"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
)

// SetupProfiles are the profiles of an AutomatedEnrollment, in their order.
type SetupProfiles []setupRule

// setupRule decides whether one profile is for a device.
type setupRule struct {
	name    string
	serials set.Set[string]
	selects labels.Selector
}

// ReadSetupProfiles reads whom the profiles are for. One without serialNumbers and selector is for all; one with a selector that cannot be read, which
// validation refuses, is for those that it names by their serial numbers.
func ReadSetupProfiles(profiles []v1alpha1.SetupProfile) SetupProfiles {
	rules := make(SetupProfiles, 0, len(profiles))
	for i := range profiles {
		p := &profiles[i]
		r := setupRule{name: p.Name, serials: set.New(p.SerialNumbers...), selects: labels.Nothing()}
		switch {
		case p.Selector != nil:
			if selector, err := metav1.LabelSelectorAsSelector(p.Selector); err == nil {
				r.selects = selector
			}
		case len(p.SerialNumbers) == 0:
			r.selects = labels.Everything()
		}
		rules = append(rules, r)
	}
	return rules
}

// Choose returns the name of the first profile that is for a device, "" if none is.
func (s SetupProfiles) Choose(serial string, of labels.Labels) string {
	for _, r := range s {
		if r.serials.Has(serial) || r.selects.Matches(of) {
			return r.name
		}
	}
	return ""
}
