// Package doingtest runs verbs of kubectl mdm that change something, in tests: in a cluster with the objects that a test gives, an operator that does what the test
// says, and a person who types.
package doingtest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
)

// World is a cluster, its operator and a person at a terminal.
type World struct {
	Client      client.WithWatch
	Out, ErrOut bytes.Buffer
	// In is what the person types.
	In     string
	Colour bool
	// Operator changes the status of what was created or patched, as soon as somebody watches its kind.
	Operator func(o client.Object)
	// Fail returns the error that a request meets: the verb (get, list, watch, create, patch, apply, push) of a kind.
	Fail func(verb, kind, name string) error
	// Created are the objects that were created; Pushed the names of the devices that were woken.
	Created []client.Object
	Pushed  []string

	t       *testing.T
	touched []client.Object
}

// New is a World with objects.
func New(t *testing.T, objects ...client.Object) *World {
	w := &World{t: t}
	w.Client = fake.NewClientBuilder().WithScheme(cli.Scheme).
		WithStatusSubresource(&mdmv1alpha1.DeviceCommand{}, &mdmv1alpha1.EnrollmentToken{}, &mdmv1alpha1.Device{}).
		WithReturnManagedFields().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			return w.or("get", o, key.Name, func() error { return c.Get(ctx, key, o, options...) })
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			return w.or("list", list, "", func() error { return c.List(ctx, list, options...) })
		},
		Watch: w.watch, Create: w.create, Patch: w.patch, SubResourceCreate: w.push,
		Apply: func(ctx context.Context, c client.WithWatch, a runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			if w.Fail != nil {
				if err := w.Fail("apply", "", ""); err != nil {
					return err
				}
			}
			return c.Apply(ctx, a, options...)
		},
	}).Build()
	return w
}

// or does something unless the test has it fail.
func (w *World) or(verb string, o runtime.Object, name string, do func() error) error {
	gvk, err := apiutil.GVKForObject(o, cli.Scheme)
	if err == nil && w.Fail != nil {
		if err := w.Fail(verb, strings.TrimSuffix(gvk.Kind, "List"), name); err != nil {
			return err
		}
	}
	return do()
}

// Forbid refuses a verb on a kind, as an API server does when a role lacks it.
func Forbid(verb, kind string) func(verb, kind, name string) error {
	return func(v, k, name string) error {
		if v != verb || k != kind {
			return nil
		}
		return apierrors.NewForbidden(schema.GroupResource{Group: mdmv1alpha1.GroupVersion.Group, Resource: strings.ToLower(kind) + "s"}, name, errors.New("no right"))
	}
}

func (w *World) create(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
	if owner := (&client.CreateOptions{}).ApplyOptions(options).FieldManager; owner != cli.FieldManager {
		w.t.Errorf("created by the field manager %q", owner)
	}
	return w.or("create", o, o.GetName(), func() error {
		err := c.Create(ctx, o, options...)
		if err == nil {
			w.Created, w.touched = append(w.Created, o.DeepCopyObject().(client.Object)), append(w.touched, o.DeepCopyObject().(client.Object))
		}
		return err
	})
}

func (w *World) patch(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
	return w.or("patch", o, o.GetName(), func() error {
		err := c.Patch(ctx, o, p, options...)
		if err == nil {
			w.touched = append(w.touched, o.DeepCopyObject().(client.Object))
		}
		return err
	})
}

func (w *World) push(_ context.Context, _ client.Client, resource string, o, _ client.Object, _ ...client.SubResourceCreateOption) error {
	return w.or(resource, o, o.GetName(), func() error {
		w.Pushed = append(w.Pushed, o.GetName())
		return nil
	})
}

// watch lets the operator work on what was touched, as soon as somebody watches.
func (w *World) watch(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
	var events watch.Interface
	err := w.or("watch", list, "", func() (err error) {
		events, err = c.Watch(ctx, list, options...)
		return err
	})
	if err != nil || w.Operator == nil {
		return events, err
	}
	for _, o := range w.touched {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return nil, err
		}
		w.Operator(o)
		if err := c.Status().Update(ctx, o); err != nil {
			w.t.Error(err)
		}
	}
	w.touched = nil
	return events, nil
}

// Run runs a verb with arguments.
func (w *World) Run(verb func(*cli.Env) *cobra.Command, args ...string) error {
	w.t.Helper()
	w.Out.Reset()
	w.ErrOut.Reset()
	flags := genericclioptions.NewConfigFlags(false)
	space, none := looktest.Namespace, os.DevNull
	flags.Namespace, flags.KubeConfig = &space, &none
	c := verb(&cli.Env{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(w.In), Out: &w.Out, ErrOut: &w.ErrOut},
		Flags:     flags, Clock: clocktesting.NewFakePassiveClock(looktest.Now), Colour: w.Colour,
		Connect: func() (client.WithWatch, error) { return w.Client, nil },
	})
	c.SilenceUsage, c.SilenceErrors = true, true
	c.SetOut(&w.Out)
	c.SetErr(&w.ErrOut)
	c.SetArgs(append([]string{}, args...)) // nil would stand for those of the test
	return c.ExecuteContext(w.t.Context())
}

// WantError checks that an error tells all of texts; none: that there is no error.
func (w *World) WantError(err error, texts ...string) {
	w.t.Helper()
	if len(texts) == 0 && err != nil {
		w.t.Fatalf("%v\n%s", err, &w.ErrOut)
	}
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			w.t.Errorf("the error %q does not tell %q", err, text)
		}
	}
}

// WantOutput checks that the output tells all of texts.
func (w *World) WantOutput(texts ...string) { w.want(&w.Out, texts) }

// WantNotes checks that standard error tells all of texts.
func (w *World) WantNotes(texts ...string) { w.want(&w.ErrOut, texts) }

func (w *World) want(in *bytes.Buffer, texts []string) {
	w.t.Helper()
	for _, text := range texts {
		if !strings.Contains(in.String(), text) {
			w.t.Errorf("it does not tell %q:\n%s", text, in)
		}
	}
}

// File puts a file into a folder and returns its path.
func File(t *testing.T, folder, name, content string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
