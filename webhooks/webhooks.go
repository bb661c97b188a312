package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// SetupAll registers the webhook of every kind that has one with mgr's webhook server.
func SetupAll(mgr ctrl.Manager) error {
	return errors.Join(setupProfile(mgr), setupDeviceCommand(mgr), setupEnrollmentToken(mgr), setupAPNSCertificate(mgr), setupAutomatedEnrollment(mgr))
}

func setup[T client.Object](mgr ctrl.Manager, object T, validate func(T) field.ErrorList) error {
	err := ctrl.NewWebhookManagedBy(mgr, object).WithValidator(validator[T]{scheme: mgr.GetScheme(), validate: validate}).Complete()
	if err != nil {
		return fmt.Errorf("setting up the webhook of %T: %w", object, err)
	}
	return nil
}

// validator adapts a function of internal/validate to admission.
type validator[T client.Object] struct {
	scheme   *runtime.Scheme
	validate func(T) field.ErrorList
}

var _ admission.Validator[client.Object] = validator[client.Object]{}

// ValidateCreate refuses what is not valid.
func (v validator[T]) ValidateCreate(_ context.Context, object T) (admission.Warnings, error) {
	return nil, v.invalid(object, v.validate(object))
}

// ValidateUpdate refuses new faults. Old ones are no reason to refuse an update that has nothing to do with them, such as one that takes the
// finalizer off.
func (v validator[T]) ValidateUpdate(_ context.Context, before, object T) (admission.Warnings, error) {
	known := v.validate(before)
	fresh := slices.DeleteFunc(v.validate(object), func(e *field.Error) bool {
		return slices.ContainsFunc(known, func(k *field.Error) bool { return k.Error() == e.Error() })
	})
	return nil, v.invalid(object, fresh)
}

// ValidateDelete allows everything.
func (v validator[T]) ValidateDelete(context.Context, T) (admission.Warnings, error) { return nil, nil }

func (v validator[T]) invalid(object T, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	gvk, err := apiutil.GVKForObject(object, v.scheme)
	if err != nil {
		return err
	}
	return apierrors.NewInvalid(gvk.GroupKind(), object.GetName(), errs)
}
