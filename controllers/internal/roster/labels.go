package roster

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// TokenLabels are the labels that a Device gets from the token of its enrolment. The operator's own are not a token's to give.
func TokenLabels(d adminapi.Device) map[string]string {
	all := maps.Clone(d.TokenLabels)
	maps.DeleteFunc(all, func(key, _ string) bool { return Ours(key) })
	return all
}

// Ours says whether a label is one of the operator's own.
func Ours(label string) bool { return strings.HasPrefix(label, mdmv1alpha1.GroupVersion.Group+"/") }

// Applied says whether exactly the wanted labels stand, and are ours.
func Applied(labels map[string]string, mine map[string]bool, want map[string]any) bool {
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

// LabelOwners tells the labels of an object that a field manager set from those that others did.
func LabelOwners(o metav1.Object, manager string) (mine, others map[string]bool, err error) {
	mine, others = map[string]bool{}, map[string]bool{}
	for _, entry := range o.GetManagedFields() {
		if entry.FieldsV1 == nil || entry.Subresource != "" {
			continue
		}
		keys, err := labelsIn(entry.FieldsV1.GetRawBytes())
		if err != nil {
			return nil, nil, err
		}
		if entry.Manager == manager {
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

// LabelFields keeps of the managed fields of an object what LabelOwners reads: labels, outside of subresources. key is the same for the same content.
func LabelFields(all []metav1.ManagedFieldsEntry) (kept []metav1.ManagedFieldsEntry, key string, err error) {
	for _, entry := range all {
		if entry.FieldsV1 == nil || entry.Subresource != "" {
			continue
		}
		keys, err := labelsIn(entry.FieldsV1.GetRawBytes())
		if err != nil {
			return nil, "", err
		}
		if len(keys) > 0 {
			fields := fieldsOf(keys)
			kept = append(kept, metav1.ManagedFieldsEntry{Manager: entry.Manager, FieldsV1: metav1.NewFieldsV1(fields)})
			key += entry.Manager + "\n" + fields + "\n"
		}
	}
	return kept, key, nil
}

// fieldsOf is the set of fields of which labelsIn reads the labels.
func fieldsOf(labels map[string]bool) string {
	fields := map[string]struct{}{}
	for key := range labels {
		fields["f:"+key] = struct{}{}
	}
	set, _ := json.Marshal(map[string]any{"f:metadata": map[string]any{"f:labels": fields}}) // strings always are JSON
	return string(set)
}
