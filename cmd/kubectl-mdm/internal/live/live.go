package live

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// Deadline is how long one answer of the live view may take.
const Deadline = 5 * time.Second

// Get reads an object of the live view within Deadline. Besides the errors of Judge it returns those of the API server, such as that there is no such object.
func Get(ctx context.Context, s *cli.Session, namespace, name string, obj client.Object) error {
	return within(ctx, func(ctx context.Context) error {
		return s.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj)
	})
}

// List reads a list of the live view within Deadline.
func List(ctx context.Context, s *cli.Session, list client.ObjectList, options ...client.ListOption) error {
	return within(ctx, func(ctx context.Context) error { return s.List(ctx, list, options...) })
}

// Create posts an object to the live view within Deadline, and fills it with the answer.
func Create(ctx context.Context, s *cli.Session, obj client.Object) error {
	return within(ctx, func(ctx context.Context) error { return s.Create(ctx, obj) })
}

// Push wakes the Device of a name now.
func Push(ctx context.Context, s *cli.Session, namespace, name string) error {
	of := metav1.ObjectMeta{Namespace: namespace, Name: name}
	return within(ctx, func(ctx context.Context) error {
		return s.SubResource("push").Create(ctx, &livev1alpha1.DeviceReport{ObjectMeta: of}, &livev1alpha1.DevicePush{ObjectMeta: of})
	})
}

// Watch follows what the live view tells until the context ends or the API server ends it. The answer may take Deadline to begin.
func Watch(ctx context.Context, s *cli.Session, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(Deadline, func() { cancel(context.DeadlineExceeded) })
	w, err := s.Watch(ctx, list, options...)
	inTime := late.Stop()
	switch {
	case err == nil && inTime:
		return &watching{Interface: w, cancel: cancel}, nil
	case err == nil:
		w.Stop()
		err = context.DeadlineExceeded
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		err = context.DeadlineExceeded
	}
	cancel(nil)
	return nil, Judge(err)
}

// watching frees what belongs to a watch when it is stopped.
type watching struct {
	watch.Interface
	cancel context.CancelCauseFunc
}

func (w *watching) Stop() {
	w.Interface.Stop()
	w.cancel(nil)
}

func within(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	return Judge(call(ctx))
}
