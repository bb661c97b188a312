package roster

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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
