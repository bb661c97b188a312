package device

import (
	"context"
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// labelManager is the field manager of the labels that a Device has from the token of its enrolment: they are told from those of people by it.
const labelManager = "kubemdm-token-labels"

// label puts the labels of the enrolment's token on the Device, and takes those of an earlier enrolment off. A label that somebody else has set stays as it
// is.
func (r *Reconciler) label(ctx context.Context, s *scope, _ *loop.Report) error {
	if s.device == nil || s.device.State == adminapi.DeviceEnded {
		return nil
	}
	mine, others, err := roster.LabelOwners(s.object, labelManager)
	if err != nil {
		return err
	}
	changed := s.object.DeepCopy()
	want := roster.TokenLabels(*s.device)
	for key := range mine {
		if _, wanted := want[key]; !wanted && !roster.Ours(key) {
			delete(changed.Labels, key)
		}
	}
	for key, value := range want {
		if mine[key] || !others[key] {
			metav1.SetMetaDataLabel(&changed.ObjectMeta, key, value)
		}
	}
	if maps.Equal(changed.Labels, s.object.Labels) {
		return nil
	}
	// The lock keeps what the owners were read from.
	patch := client.MergeFromWithOptions(s.object, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, changed, patch, client.FieldOwner(labelManager)); err != nil {
		return fmt.Errorf("writing the labels of the token: %w", err)
	}
	s.object.SetResourceVersion(changed.GetResourceVersion())
	return nil
}
