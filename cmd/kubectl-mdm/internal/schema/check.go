package schema

import (
	"context"
	"fmt"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
)

// Fault is one thing that is wrong with an object.
type Fault struct {
	// Field is the path of the field, such as spec.profiles[0].name.
	Field string
	// Message says what is wrong with it, as the API server does.
	Message string
}

func (f Fault) String() string {
	if f.Field == "" {
		return f.Message
	}
	return f.Field + ": " + f.Message
}

// Check judges an object as if it were created, or if before is not nil, updated. The object is changed: it has the defaults of its schema, and
// neither unknown fields nor a status. A namespace that is not named stands for any.
func Check(ctx context.Context, object, before *unstructured.Unstructured) ([]Fault, error) {
	k, err := of(object.GetKind())
	if err != nil {
		return nil, err
	}
	faults, sound := k.decode(object)
	if !sound {
		return faults, nil
	}
	errs := k.judge(ctx, object, before)
	if len(errs) == 0 && len(faults) == 0 {
		if errs, err = sense(object); err != nil {
			return nil, err
		}
	}
	for _, e := range errs {
		faults = append(faults, Fault{Field: e.Field, Message: e.ErrorBody()})
	}
	return faults, nil
}

// Default sets what the schema sets.
func Default(object *unstructured.Unstructured) error {
	k, err := of(object.GetKind())
	if err == nil {
		defaulting.Default(object.Object, k.structural)
	}
	return err
}

// decode takes fields away that no schema knows, and reports them. It is not sound when the metadata cannot be read at all.
func (k *kind) decode(object *unstructured.Unstructured) (faults []Fault, sound bool) {
	delete(object.Object, "status") // the API server takes it from nobody but the operator
	metadata, found, unknown, err := objectmeta.GetObjectMetaWithOptions(object.Object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return []Fault{{Field: "metadata", Message: err.Error()}}, false
	}
	apiVersion, name := object.GetAPIVersion(), object.GetKind()
	unknown = append(unknown, pruning.PruneWithOptions(object.Object, k.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	defaulting.PruneNonNullableNullsWithoutDefaults(object.Object, k.structural)
	for _, path := range unknown {
		faults = append(faults, Fault{Field: path, Message: "unknown field"})
	}
	object.SetAPIVersion(apiVersion)
	object.SetKind(name)
	if found {
		err = objectmeta.SetObjectMeta(object.Object, metadata)
	}
	if err != nil {
		return append(faults, Fault{Field: "metadata", Message: err.Error()}), false
	}
	defaulting.Default(object.Object, k.structural)
	return faults, true
}

// judge runs the checks of an API server, in its order.
func (k *kind) judge(ctx context.Context, object, before *unstructured.Unstructured) field.ErrorList {
	named := object
	if object.GetNamespace() == "" {
		named = object.DeepCopy()
		named.SetNamespace("default")
	}
	errs := apivalidation.ValidateObjectMetaAccessor(named, true, apivalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	var old any // of no type, since rules tell an absent one by that
	var ratchet []cel.Option
	if before == nil {
		errs = append(errs, validation.ValidateCustomResource(nil, object.Object, k.types)...)
	} else {
		// What was wrong already and is not touched is no fault of the update.
		both := common.NewCorrelatedObject(object.Object, before.Object, &model.Structural{Structural: k.structural})
		old, ratchet = before.Object, append(ratchet, cel.WithRatcheting(both))
		errs = append(errs, validation.ValidateCustomResourceUpdate(nil, object.Object, before.Object, k.types, validation.WithRatcheting(both))...)
	}
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.structural, object.Object)...)
	if k.rules == nil || blocked(errs) {
		return errs
	}
	broken, _ := k.rules.Validate(ctx, nil, k.structural, object.Object, old, celconfig.RuntimeCELCostBudget, ratchet...)
	return append(errs, broken...)
}

// blocked says whether an object is so wrong that rules cannot be asked, as API servers have it.
func blocked(errs field.ErrorList) bool {
	for _, e := range errs {
		switch e.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		}
	}
	return false
}

// Named is how an object is called in a sentence.
func Named(object *unstructured.Unstructured) string {
	name := object.GetName()
	if name == "" {
		name = object.GetGenerateName()
	}
	return fmt.Sprintf("%s/%s", object.GetKind(), name)
}
