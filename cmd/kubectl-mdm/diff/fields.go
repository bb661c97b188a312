package diff

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/schema"
)

// lastApplied is the annotation of client-side apply, which repeats the whole object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// fields are those that people write and that differ.
func fields(before, after *unstructured.Unstructured) []Field {
	var all []Field
	compare("", content(before), content(after), &all)
	return all
}

// content is what people write in an object: labels, annotations and spec.
func content(u *unstructured.Unstructured) map[string]any {
	metadata := map[string]any{}
	for name, values := range map[string]map[string]string{"labels": u.GetLabels(), "annotations": u.GetAnnotations()} {
		part := map[string]any{}
		for key, value := range values {
			if key != lastApplied {
				part[key] = value
			}
		}
		metadata[name] = part
	}
	all := map[string]any{"metadata": metadata}
	if spec, has := u.Object["spec"]; has {
		all["spec"] = spec
	}
	return all
}

func compare(path string, before, after any, all *[]Field) {
	b, isMap := before.(map[string]any)
	a, isMapToo := after.(map[string]any)
	if isMap && isMapToo {
		keys := map[string]bool{}
		for key := range b {
			keys[key] = true
		}
		for key := range a {
			keys[key] = true
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			compare(join(path, key), b[key], a[key], all)
		}
		return
	}
	if !reflect.DeepEqual(before, after) {
		*all = append(*all, Field{Path: path, Before: before, After: after})
	}
}

func join(path, key string) string {
	switch {
	case path == "":
		return key
	case strings.ContainsAny(key, "./"):
		return path + "[" + key + "]"
	}
	return path + "." + key
}

// overlay is what an object becomes when a manifest is applied, by the rules of server-side apply: what the manifest says, without what it does not say any
// more and nobody but its applier wrote.
func overlay(before, manifest *unstructured.Unstructured, applier string) *unstructured.Unstructured {
	m := merger{kind: before.GetKind()}
	m.mine, m.others = owned(before.GetManagedFields(), applier)
	after := before.DeepCopy()
	delete(after.Object, "status")
	for _, path := range [][]string{{"metadata", "labels"}, {"metadata", "annotations"}, {"spec"}} {
		old, _, _ := unstructured.NestedMap(before.Object, path...)
		said, _, _ := unstructured.NestedMap(manifest.Object, path...)
		merged := m.merge(path, old, said)
		if len(merged) == 0 {
			unstructured.RemoveNestedField(after.Object, path...)
			continue
		}
		_ = unstructured.SetNestedMap(after.Object, merged, path...) // the parents are maps, as they were read
	}
	return after
}

// merger merges what a manifest says into an object.
type merger struct {
	kind string
	// mine are the fields that the applier of the manifest wrote, others those that anybody else did.
	mine, others *fieldpath.Set
}

func (m *merger) merge(path []string, old, said map[string]any) map[string]any {
	merged := maps.Clone(said)
	if merged == nil {
		merged = map[string]any{}
	}
	for key, value := range old {
		at := append(slices.Clone(path), key)
		now, repeats := said[key]
		if inner, next, parts := m.parts(at, value, now); parts {
			if part := m.merge(at, inner, next); len(part) > 0 || repeats {
				merged[key] = part
			}
		} else if !repeats && m.stays(at) {
			merged[key] = value
		}
	}
	return merged
}

// parts says whether a field is merged part by part: both values are maps, or the manifest has none, and it is not written as a whole.
func (m *merger) parts(at []string, old, said any) (inner, next map[string]any, parts bool) {
	inner, isMap := old.(map[string]any)
	next, isMapToo := said.(map[string]any)
	return inner, next, isMap && (said == nil || isMapToo) && !m.whole(at)
}

// whole says whether a field is written as a whole.
func (m *merger) whole(path []string) bool {
	atomic, err := schema.Atomic(m.kind, path...)
	return err == nil && atomic
}

// stays says whether a field that the manifest does not name stays, since its applier did not write it, or somebody else did, too.
func (m *merger) stays(path []string) bool { return !has(m.mine, path) || has(m.others, path) }

// owned are the fields that a field manager wrote, and those of all others.
func owned(entries []metav1.ManagedFieldsEntry, manager string) (mine, others *fieldpath.Set) {
	mine, others = &fieldpath.Set{}, &fieldpath.Set{}
	for _, entry := range entries {
		set := &fieldpath.Set{}
		if entry.FieldsV1 == nil || entry.Subresource != "" || set.FromJSON(bytes.NewReader(entry.FieldsV1.GetRawBytes())) != nil {
			continue
		}
		if entry.Manager == manager {
			mine = mine.Union(set)
		} else {
			others = others.Union(set)
		}
	}
	return mine, others
}

// has says whether a field or anything below it is in a set.
func has(set *fieldpath.Set, path []string) bool {
	full := make(fieldpath.Path, 0, len(path))
	for _, name := range path {
		full = append(full, fieldpath.PathElement{FieldName: &name})
	}
	if set.Has(full) {
		return true
	}
	for _, element := range full {
		set = set.WithPrefix(element)
	}
	return !set.Empty()
}
