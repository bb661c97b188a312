package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// ErrNotFound says that an object names an MDMServer that does not exist.
var ErrNotFound = errors.New("spec.serverRef names no MDMServer of this namespace")

// callAgain is the pause after a call that a connected server did not take.
const callAgain = 10 * time.Second

// Find returns the connected server of a name. Errors: ErrNotFound when there is no such MDMServer; any other says why it cannot be reached.
func (r *Registry) Find(ctx context.Context, reader client.Reader, namespace, name string) (*Server, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	err := reader.Get(ctx, key, &mdmv1alpha1.MDMServer{}, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the MDMServer: %w", err)
	}
	server, err := r.Server(key)
	if err != nil {
		return nil, &unreachableError{err}
	}
	return server, nil
}

// Await finds the server of an object for the step that sets a condition, or returns what the step returns. While a server cannot be reached, an object
// whose spec was dealt with says what it said before: a restart of server or manager rewrites no status.
func (r *Registry) Await(ctx context.Context, reader client.Reader, obj mdmv1alpha1.Object, name, condition string, report *loop.Report) (*Server, error) {
	server, err := r.Find(ctx, reader, obj.GetNamespace(), name)
	was := meta.FindStatusCondition(obj.GetCommonStatus().Conditions, condition)
	var unreachable *unreachableError
	if errors.As(err, &unreachable) && was != nil && was.ObservedGeneration == obj.GetGeneration() && was.Reason != mdmv1alpha1.ReasonPending {
		report.Keep()
	}
	return server, Halt(err)
}

// unreachableError is a missing connection: the registry's sources tell when it is there.
type unreachableError struct{ cause error }

func (e *unreachableError) Error() string { return "the server cannot be reached: " + e.cause.Error() }
func (e *unreachableError) Unwrap() error { return e.cause }

// Halt turns an error of Find or of a call to a server into what a step returns: it waits for what passes by itself and stalls where only a
// person helps. Any other error is left as it is.
func Halt(err error) error {
	var unreachable *unreachableError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNotFound):
		return loop.Wait(mdmv1alpha1.ReasonServerNotFound, 0, "%s: create it or correct the name", err)
	case errors.As(err, &unreachable):
		return loop.Wait(mdmv1alpha1.ReasonServerUnreachable, 0, "%s; nothing is lost, see the MDMServer if it lasts", err)
	}
	switch adminapi.CodeOf(err) {
	case adminapi.CodeAnotherManager:
		return loop.Wait(mdmv1alpha1.ReasonAnotherManager, callAgain, "another manager leads this server: stop the second installation, if there is one")
	case adminapi.CodeUnavailable:
		return loop.Wait(mdmv1alpha1.ReasonServerUnreachable, callAgain, "the server cannot store anything now: %s", err)
	case adminapi.CodeInvalid:
		return loop.Stall(mdmv1alpha1.ReasonInvalid, "the server refused it: %s", err)
	}
	return err
}
