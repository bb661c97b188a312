package selection

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
)

const (
	// alwaysRemovable is the number of devices that may lose a Profile at once whatever percentage they are.
	alwaysRemovable = 5
	// defaultMaxPercent stands in for an absent spec.removal.maxPercent.
	defaultMaxPercent = 10
)

// Selector says of a device, by its platform and its labels, whether it is selected.
type Selector func(platform v1alpha1.Platform, of labels.Labels) bool

// Profile reads whom a Profile selects: devices of its platform only, whatever the labels of others. The error is that of a selector that cannot be
// read.
func Profile(p *v1alpha1.Profile) (Selector, error) {
	include, err := metav1.LabelSelectorAsSelector(p.Spec.Selector)
	if err != nil {
		return nil, err
	}
	exclude, err := metav1.LabelSelectorAsSelector(p.Spec.ExcludeSelector)
	if err != nil {
		return nil, err
	}
	own := p.Spec.Platform()
	return func(platform v1alpha1.Platform, of labels.Labels) bool {
		return platform == own && include.Matches(of) && !exclude.Matches(of)
	}, nil
}

// Frozen says whether a Profile leaves devices as they are: while it is paused or being deleted.
func Frozen(p *v1alpha1.Profile) bool { return Paused(p) || p.DeletionTimestamp != nil }

// Paused says whether an object carries the annotation that stops its reconciling.
func Paused(o metav1.Object) bool { return o.GetAnnotations()[v1alpha1.AnnotationPaused] == "true" }

// Removable is how many of the devices that have a Profile may lose it at once.
func Removable(p *v1alpha1.Profile, having int) int {
	percent := defaultMaxPercent
	if set := p.Spec.Removal.MaxPercent; set != nil {
		percent = int(*set)
	}
	return max(alwaysRemovable, having*percent/100)
}
