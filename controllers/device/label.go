package device

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
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
	mine, others, err := labelOwners(s.object)
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
	if applied(s.object.Labels, mine, want) {
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

// applied says whether exactly the wanted labels stand, and are ours.
func applied(labels map[string]string, mine map[string]bool, want map[string]any) bool {
	if len(mine) != len(want) {
		return false
	}
	for key, value := range want {
		if !mine[key] || labels[key] != value {
			return false
		}
	}
	return true
}

// labelOwners tells the labels of an object that labelManager set from those that others did.
func labelOwners(o metav1.Object) (mine, others map[string]bool, err error) {
	mine, others = map[string]bool{}, map[string]bool{}
	for _, entry := range o.GetManagedFields() {
		if entry.FieldsV1 == nil || entry.Subresource != "" {
			continue
		}
		keys, err := labelsIn(entry.FieldsV1.GetRawBytes())
		if err != nil {
			return nil, nil, err
		}
		if entry.Manager == labelManager {
			maps.Copy(mine, keys)
		} else {
			maps.Copy(others, keys)
		}
	}
	return mine, others, nil
}

// labelsIn reads the labels in a set of fields (FieldsV1 of a managedFields entry: names stand behind "f:").
func labelsIn(fields []byte) (map[string]bool, error) {
	var set struct {
		Metadata struct {
			Labels map[string]json.RawMessage `json:"f:labels"`
		} `json:"f:metadata"`
	}
	if err := json.Unmarshal(fields, &set); err != nil {
		return nil, fmt.Errorf("reading the managed fields: %w", err)
	}
	keys := map[string]bool{}
	for field := range set.Metadata.Labels {
		if key, named := strings.CutPrefix(field, "f:"); named {
			keys[key] = true
		}
	}
	return keys, nil
}
