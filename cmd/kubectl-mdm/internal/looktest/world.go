package looktest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// Namespace is that of the context.
const Namespace = "fleet"

// Now is what the clock shows.
var Now = time.Date(2026, time.July, 1, 12, 0, 0, 0, time.UTC)

// Ago is a time before Now.
func Ago(d time.Duration) metav1.Time { return metav1.NewTime(Now.Add(-d)) }

// World is a cluster and a person's terminal.
type World struct {
	Out, ErrOut bytes.Buffer
	// Colour and Progress are those of the terminal.
	Colour, Progress bool
	// Forbidden are kinds that the person may not read.
	Forbidden []string
	// Live is what every request to the live view returns, if it is set.
	Live error
	// Events are what lists and watches of DeviceEvents return.
	Events Events
	// Logs are those of pods by namespace/pod/container.
	Logs map[string]string
	// Lists counts the pages that were read by kind.
	Lists map[string]int
	// PageSize is how many objects the API server gives at once; 0: all.
	PageSize int
	// Read counts the requests for each kind.
	Read map[string]int

	t      *testing.T
	client client.WithWatch
}

// Events are answers for DeviceEvents, which no fake client knows how to select.
type Events struct {
	// List is called for lists, Watch for watches, each with the options of the request.
	List  func(options *client.ListOptions) (*livev1alpha1.DeviceEventList, error)
	Watch func(options *client.ListOptions) (watch.Interface, error)
}

// New is a World with objects.
func New(t *testing.T, objects ...client.Object) *World {
	w := &World{t: t, Lists: map[string]int{}, Read: map[string]int{}}
	w.client = fake.NewClientBuilder().WithScheme(cli.Scheme).WithObjects(objects...).
		WithInterceptorFuncs(interceptor.Funcs{Get: w.get, List: w.list, Watch: w.watch}).Build()
	return w
}

// refuse returns the error that a request for a kind meets.
func (w *World) refuse(o runtime.Object, name string) error {
	gvk, err := apiutil.GVKForObject(o, cli.Scheme)
	if err != nil {
		return nil //nolint:nilerr // a kind that only the API server knows
	}
	kind := strings.TrimSuffix(gvk.Kind, "List")
	w.Read[kind]++
	if slices.Contains(w.Forbidden, kind) {
		return apierrors.NewForbidden(schema.GroupResource{Group: gvk.Group, Resource: strings.ToLower(kind) + "s"}, name, errors.New("no"))
	}
	if gvk.Group == livev1alpha1.GroupVersion.Group {
		return w.Live
	}
	return nil
}

func (w *World) get(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if err := w.refuse(o, key.Name); err != nil {
		return err
	}
	return c.Get(ctx, key, o, options...)
}

func (w *World) list(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
	given := (&client.ListOptions{}).ApplyOptions(options)
	if err := w.refuse(list, ""); err != nil {
		return err
	}
	if events, is := list.(*livev1alpha1.DeviceEventList); is && w.Events.List != nil {
		answer, err := w.Events.List(given)
		if err == nil {
			answer.DeepCopyInto(events)
		}
		return err
	}
	if gvk, err := apiutil.GVKForObject(list, cli.Scheme); err == nil {
		w.Lists[strings.TrimSuffix(gvk.Kind, "List")]++
	}
	if err := c.List(ctx, list, options...); err != nil || w.PageSize == 0 {
		return err
	}
	return w.page(list, given)
}

func (w *World) watch(_ context.Context, _ client.WithWatch, list client.ObjectList, options ...client.ListOption) (watch.Interface, error) {
	if err := w.refuse(list, ""); err != nil {
		return nil, err
	}
	return w.Events.Watch((&client.ListOptions{}).ApplyOptions(options))
}

// Run runs a verb with arguments.
func (w *World) Run(verb func(*cli.Env) *cobra.Command, args ...string) error {
	return w.RunUntil(w.t.Context(), verb, args...)
}

// RunUntil runs it until the context ends.
func (w *World) RunUntil(ctx context.Context, verb func(*cli.Env) *cobra.Command, args ...string) error {
	w.t.Helper()
	w.Out.Reset()
	w.ErrOut.Reset()
	flags := genericclioptions.NewConfigFlags(false)
	space, none := Namespace, os.DevNull
	flags.Namespace, flags.KubeConfig = &space, &none
	c := verb(&cli.Env{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &w.Out, ErrOut: &w.ErrOut},
		Flags:     flags, Clock: clocktesting.NewFakePassiveClock(Now), Colour: w.Colour, Progress: w.Progress,
		Connect:       func() (client.WithWatch, error) { return w.client, nil },
		ServerVersion: func() (string, error) { return "v1.37.0", nil },
		Logs:          w.logs,
	})
	c.SilenceUsage, c.SilenceErrors = true, true
	c.SetOut(&w.Out)
	c.SetErr(&w.ErrOut)
	c.SetArgs(append([]string{}, args...)) // nil would stand for those of the test
	return c.ExecuteContext(ctx)
}

func (w *World) logs(_ context.Context, namespace, pod string, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	text, known := w.Logs[namespace+"/"+pod+"/"+options.Container]
	if !known {
		return nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods/log"}, pod, errors.New("no"))
	}
	return io.NopCloser(strings.NewReader(text)), nil
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

// WantOutput checks that standard output or standard error tells all of texts.
func (w *World) WantOutput(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if !strings.Contains(w.Out.String()+w.ErrOut.String(), text) {
			w.t.Errorf("the output does not tell %q:\n%s\n%s", text, &w.Out, &w.ErrOut)
		}
	}
}
