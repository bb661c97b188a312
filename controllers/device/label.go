package device

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// labelManager is the field manager of the labels that a Device has from the token of its enrolment. What it applies replaces what it applied
// before, so the labels of an earlier enrolment go.
const labelManager = "kubemdm-token-labels"

// label puts the labels of the enrolment's token on the Device. A label that somebody else has set to another value stays as it is.
func (r *Reconciler) label(ctx context.Context, s *scope, _ *loop.Report) error {
	if s.device == nil || s.device.State == adminapi.DeviceEnded {
		return nil
	}
	mine, others, err := roster.LabelOwners(s.object, labelManager)
	if err != nil {
		return err
	}
	want := map[string]any{}
	for key, value := range s.device.TokenLabels {
		ours := strings.HasPrefix(key, mdmv1alpha1.GroupVersion.Group+"/")
		if !ours && (!others[key] || s.object.Labels[key] == value) {
			want[key] = value
		}
	}
	if roster.Applied(s.object.Labels, mine, want) {
		return nil
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(mdmv1alpha1.GroupVersion.WithKind("Device"))
	u.SetNamespace(s.object.Namespace)
	u.SetName(s.object.Name)
	u.SetUID(s.object.UID) // a Device that has gone meanwhile is not made anew
	u.SetResourceVersion(s.object.ResourceVersion)
	if err := unstructured.SetNestedMap(u.Object, want, "metadata", "labels"); err != nil {
		return err
	}
	if err := r.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(labelManager)); err != nil {
		return fmt.Errorf("applying the labels of the token: %w", err)
	}
	s.object.SetResourceVersion(u.GetResourceVersion())
	return nil
}
