package setup

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/pool"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
)

// slim makes Devices small before they are cached, since there may be very many: it drops what no controller reads and shares what many have in common.
// Whatever is cached must not be changed, so sharing is safe.
type slim struct {
	words  pool.Words
	labels pool.Pool[map[string]string]
	owners pool.Pool[[]metav1.ManagedFieldsEntry]
	os     pool.Pool[*mdmv1alpha1.DeviceOS]
}

// device is the transform of the cache.
func (s *slim) device(o any) (any, error) {
	d, ok := o.(*mdmv1alpha1.Device)
	if !ok {
		return o, nil // a tombstone
	}
	owners, key, err := roster.LabelFields(d.ManagedFields)
	if err != nil {
		return nil, err
	}
	d.ManagedFields = s.owners.Share(key, owners)
	delete(d.Annotations, corev1.LastAppliedConfigAnnotation)
	d.Labels = s.labels.Share(labels.Set(d.Labels).String(), d.Labels)
	s.words.Share(&d.Kind, &d.APIVersion, &d.Namespace, &d.Spec.ServerRef.Name, (*string)(&d.Spec.DeletionPolicy))
	for i := range d.Finalizers {
		s.words.Share(&d.Finalizers[i])
	}
	s.status(&d.Status)
	alike(&d.Spec.SerialNumber, d.Status.Hardware, func(h *mdmv1alpha1.DeviceHardware) *string { return &h.SerialNumber })
	alike(&d.Spec.UDID, d.Status.Hardware, func(h *mdmv1alpha1.DeviceHardware) *string { return &h.UDID })
	return d, nil
}

func (s *slim) status(status *mdmv1alpha1.DeviceStatus) {
	status.Conditions = append(make([]metav1.Condition, 0, len(status.Conditions)), status.Conditions...) // decoding leaves room for more
	for i := range status.Conditions {
		c := &status.Conditions[i]
		s.words.Share(&c.Type, &c.Reason, &c.Message, (*string)(&c.Status))
	}
	s.words.Share((*string)(&status.Platform), (*string)(&status.Origin), (*string)(&status.Authentication))
	if e := status.Enrollment; e != nil {
		s.words.Share((*string)(&e.Kind), (*string)(&e.State), &e.Token, &e.AutomatedEnrollment, &e.EndReason)
	}
	if h := status.Hardware; h != nil {
		s.words.Share(&h.Model, &h.ModelName, &h.ProductName)
	}
	if os := status.OS; os != nil {
		status.OS = s.os.Share(os.Version+"\n"+os.Build, os)
	}
}

// alike makes a fact that repeats a claim share its bytes.
func alike[T any](claim *string, facts *T, fact func(*T) *string) {
	if facts == nil {
		return
	}
	if f := fact(facts); *f == *claim {
		*f = *claim
	}
}
