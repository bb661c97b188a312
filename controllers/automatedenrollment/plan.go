package automatedenrollment

import (
	"k8s.io/apimachinery/pkg/labels"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/selection"
)

// plan is the name of the profile that each listed device should have, by serial number: "" for none.
type plan struct{ profiles map[string]string }

func newPlan(s *scope, speakers map[string]*mdmv1alpha1.Device) *plan {
	rules := selection.ReadSetupProfiles(s.object.Spec.Profiles)
	p := &plan{profiles: make(map[string]string, len(s.account.list))}
	for serial := range s.account.list {
		d := speakers[serial]
		if d == nil || d.Spec.Listing == nil || d.Spec.Listing.AutomatedEnrollment != s.object.Name {
			continue // refused by the API server, or listed by another one since
		}
		p.profiles[serial] = rules.Choose(serial, labels.Set(d.Labels))
	}
	return p
}
