package owned

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// FieldManager owns the fields that are applied.
const FieldManager = "kubemdm"

// annotationApplied holds a digest of what was applied last, so that a field that is no longer wanted is noticed too.
const annotationApplied = "mdm.kubemdm.io/applied"

// Apply makes the objects exist as they are, controlled by owner: edits of the fields they set are undone. An object that stands as it
// should costs one read. An object of the same name that is somebody else's is left alone, with an error.
func Apply(ctx context.Context, c client.Client, owner client.Object, objects ...client.Object) error {
	for _, obj := range objects {
		if err := controllerutil.SetControllerReference(owner, obj, c.Scheme()); err != nil {
			return err
		}
		if err := apply(ctx, c, owner, obj); err != nil {
			return fmt.Errorf("applying %T %s: %w", obj, obj.GetName(), err)
		}
	}
	return nil
}

func apply(ctx context.Context, c client.Client, owner, obj client.Object) error {
	gvk, err := apiutil.GVKForObject(obj, c.Scheme())
	if err != nil {
		return err
	}
	live := obj.DeepCopyObject().(client.Object)
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	want, err := content(obj)
	if err != nil {
		return err
	}
	if err := stamp(want); err != nil {
		return err
	}
	configuration := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: want})
	err = c.Get(ctx, client.ObjectKeyFromObject(obj), live)
	if apierrors.IsNotFound(err) {
		// The cache does not see what lacks our label: without force, somebody else's object is not overwritten.
		err = c.Apply(ctx, configuration, client.FieldOwner(FieldManager))
		if apierrors.IsConflict(err) {
			return fmt.Errorf("%w: %s", errForeign, err.Error())
		}
		return err
	}
	if err != nil {
		return err
	}
	if foreign(live, owner) {
		return errForeign
	}
	live.GetObjectKind().SetGroupVersionKind(gvk)
	have, err := content(live)
	if err != nil || covers(have, want) {
		return err
	}
	return c.Apply(ctx, configuration, client.FieldOwner(FieldManager), client.ForceOwnership)
}

// errForeign is no conflict that passes by itself.
var errForeign = errors.New("it exists and belongs to something else: delete it, or choose another name for the MDMServer")

// foreign says whether an object is another controller's, or nobody's and not ours.
func foreign(live, owner client.Object) bool {
	if controller := metav1.GetControllerOf(live); controller != nil {
		return controller.UID != owner.GetUID()
	}
	return live.GetLabels()[LabelManagedBy] != ManagedBy
}

// content is what an object says about how it should be.
func content(obj client.Object) (map[string]any, error) {
	c, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	delete(c, "status")
	unstructured.RemoveNestedField(c, "metadata", "creationTimestamp")
	return c, nil
}

// stamp annotates content with a digest of itself.
func stamp(content map[string]any) error {
	b, err := json.Marshal(content)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	return unstructured.SetNestedField(content, hex.EncodeToString(sum[:8]), "metadata", "annotations", annotationApplied)
}

// covers says whether have holds everything that want says; what the API server or others add counts for nothing, except in lists.
func covers(have, want any) bool {
	switch want := want.(type) {
	case nil:
		return true
	case map[string]any:
		have, _ := have.(map[string]any)
		for key, value := range want {
			if !covers(have[key], value) {
				return false
			}
		}
		return true
	case []any:
		have, ok := have.([]any)
		if !ok || len(have) != len(want) {
			return false
		}
		for i := range want {
			if !covers(have[i], want[i]) {
				return false
			}
		}
		return true
	}
	return have == want
}

// Remove deletes an object that is no longer wanted if owner controls it.
func Remove(ctx context.Context, c client.Client, owner, obj client.Object) error {
	err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj)
	if apierrors.IsNotFound(err) || err == nil && !metav1.IsControlledBy(obj, owner) {
		return nil
	}
	if err != nil {
		return err
	}
	return client.IgnoreNotFound(c.Delete(ctx, obj))
}
