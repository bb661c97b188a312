package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rewatch is the pause before a watch that the API server ended is begun again.
const rewatch = time.Second

// Object is a pointer to a kind's struct.
type Object[T any] interface {
	*T
	client.Object
}

// Wait follows one object until something holds or cannot come to hold.
type Wait[T any, P Object[T]] struct {
	Key client.ObjectKey
	// List is an empty list of the kind.
	List client.ObjectList
	// Done is called with each state of the object. An error ends the wait, too.
	Done func(P) (bool, error)
	// Doing says in few words what is waited for in a state, if it is not done.
	Doing func(P) string
	// Timeout is how long to wait.
	Timeout time.Duration
	// Late says what goes on after the timeout and what to do, if it is not the operator that is waited for.
	Late string
}

// TimeoutFlag adds the flag --timeout of commands that wait.
func TimeoutFlag(cmd *cobra.Command, timeout *time.Duration) {
	cmd.Flags().DurationVar(timeout, "timeout", 2*time.Minute, "how long to wait for the operator, such as 30s or 5m")
}

// For waits, and tells on ErrOut what for, whenever that changes. The end of the timeout, or of the context by Ctrl-C, is an error that says it again.
func (w Wait[T, P]) For(ctx context.Context, e *Env, s *Session) (P, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	doing := "nothing was heard yet"
	judge := func(object P) (bool, error) {
		over, err := w.Done(object)
		if over || err != nil {
			return over, err
		}
		if now := w.Doing(object); now != doing {
			doing = now
			_, err = fmt.Fprintf(e.ErrOut, "Waiting: %s\n", doing)
		}
		return false, err
	}
	object, err := w.follow(ctx, s, judge)
	switch {
	case err == nil || ctx.Err() == nil:
		return object, err
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && w.Late != "":
		return nil, fmt.Errorf("not done after %v: %s. %s", w.Timeout, doing, w.Late)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("not done after %v: %s. The operator goes on by itself, if it runs (kubectl get pods --all-namespaces --selector app.kubernetes.io/name=kubemdm); --timeout waits longer",
			w.Timeout, doing)
	}
	return nil, fmt.Errorf("interrupted: %s; the operator goes on by itself", doing)
}

func (w Wait[T, P]) follow(ctx context.Context, s *Session, judge func(P) (bool, error)) (P, error) {
	for {
		object := P(new(T))
		if err := s.Get(ctx, w.Key, object); err != nil {
			return nil, err
		}
		if over, err := judge(object); over || err != nil {
			return object, err
		}
		since := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: object.GetResourceVersion()}}
		events, err := s.Watch(ctx, w.List, since, client.InNamespace(w.Key.Namespace), client.MatchingFields{metav1.ObjectNameField: w.Key.Name})
		if err != nil {
			return nil, err
		}
		object, err = w.drain(ctx, events, judge)
		events.Stop()
		if object != nil || err != nil {
			return object, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(rewatch):
		}
	}
}

// drain reads events until the wait is over. It returns nil when the watch ends before, as API servers have it every now and then, or when the state
// that it began with is too old.
func (w Wait[T, P]) drain(ctx context.Context, events watch.Interface, judge func(P) (bool, error)) (P, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case event, open := <-events.ResultChan():
			if !open || event.Type == watch.Error {
				return nil, nil
			}
			object, ok := event.Object.(P)
			if !ok || client.ObjectKeyFromObject(object) != w.Key {
				continue
			}
			if event.Type == watch.Deleted {
				return nil, fmt.Errorf("%s was deleted meanwhile", w.Key.Name)
			}
			if over, err := judge(object); over || err != nil {
				return object, err
			}
		}
	}
}
