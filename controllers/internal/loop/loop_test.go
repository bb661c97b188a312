package loop_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

const (
	published = mdmv1alpha1.EnrollmentTokenPublished
	usable    = mdmv1alpha1.EnrollmentTokenUsable
	abnormal  = "SomethingWrong" // not among the known conditions
)

// bench is an engine over a fake API server that holds one EnrollmentToken.
type bench struct {
	t       *testing.T
	engine  loop.Engine
	client  client.Client
	clock   *clocktesting.FakePassiveClock
	events  chan string
	patches int
}

func newBench(t *testing.T, token *mdmv1alpha1.EnrollmentToken) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := mdmv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, clock: clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0)), events: make(chan string, 100)}
	b.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(token).WithStatusSubresource(token).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			b.patches++
			return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
		},
	}).Build()
	b.engine = loop.Engine{Client: b.client, Events: &events.FakeRecorder{Events: b.events}, Clock: b.clock}
	return b
}

func newToken() *mdmv1alpha1.EnrollmentToken {
	return &mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "staff", Generation: 3}}
}

// get reads the token, or returns nil when it is gone.
func (b *bench) get() *mdmv1alpha1.EnrollmentToken {
	b.t.Helper()
	token := &mdmv1alpha1.EnrollmentToken{}
	err := b.client.Get(b.t.Context(), client.ObjectKey{Namespace: "fleet", Name: "staff"}, token)
	if client.IgnoreNotFound(err) != nil {
		b.t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return token
}

func (b *bench) run(spec loop.Spec) (ctrl.Result, error) {
	b.t.Helper()
	return b.engine.Run(b.t.Context(), b.get(), spec)
}

func (b *bench) told() []string {
	var told []string
	for {
		select {
		case e := <-b.events:
			told = append(told, e)
		default:
			return told
		}
	}
}

// show prints conditions as Type=Status/Reason, sorted as they are.
func show(token *mdmv1alpha1.EnrollmentToken) string {
	var out []string
	for _, c := range token.Status.Conditions {
		out = append(out, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	return strings.Join(out, " ")
}

// step returns a step whose Run returns err.
func step(condition string, err error) loop.Step {
	return loop.Step{Condition: condition, Run: func(context.Context, *loop.Report) error { return err }}
}

func TestOutcomes(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		steps  []loop.Step
		want   string
		after  time.Duration
		failed bool
	}{
		"all done": {
			steps: []loop.Step{step(published, nil), step(usable, nil)},
			want:  "Ready=True/Ready Published=True/Ready Usable=True/Ready",
		},
		"waiting": {
			steps: []loop.Step{step(published, loop.Wait("ServerUnreachable", time.Minute, "later")), step(usable, nil)},
			want:  "Ready=False/ServerUnreachable Published=False/ServerUnreachable Usable=Unknown/Pending Reconciling=True/ServerUnreachable",
			after: time.Minute,
		},
		"waiting outside of Ready": {
			steps: []loop.Step{step(published, nil), step(usable, loop.Wait("Expired", 0, "over"))},
			want:  "Ready=True/Ready Published=True/Ready Usable=False/Expired",
		},
		"stalled": {
			steps: []loop.Step{step(published, loop.Stall("SecretTaken", "choose another")), step(usable, nil)},
			want:  "Ready=False/SecretTaken Published=False/SecretTaken Usable=Unknown/Pending Stalled=True/SecretTaken",
		},
		"failed": {
			steps:  []loop.Step{step(published, fmt.Errorf("writing: %w", boom)), step(usable, nil)},
			want:   "Ready=Unknown/Error Published=Unknown/Error Usable=Unknown/Pending Reconciling=True/Error",
			failed: true,
		},
		"said and went on": {
			steps: []loop.Step{{Condition: published, Run: func(_ context.Context, r *loop.Report) error {
				r.False("Rotating", "half way")
				r.Again(time.Hour)
				r.Again(2 * time.Hour)
				return nil
			}}, step(usable, nil)},
			want:  "Ready=False/Rotating Published=False/Rotating Usable=True/Ready Reconciling=True/Rotating",
			after: time.Hour,
		},
		"not admitted": {
			steps: []loop.Step{loop.Admit("", func() field.ErrorList {
				return field.ErrorList{field.Required(field.NewPath("spec", "x"), "say what")}
			}), step(published, nil)},
			want: "Ready=False/Invalid Published=Unknown/Pending Usable=Unknown/Pending Stalled=True/Invalid",
		},
		"admitted": {
			steps: []loop.Step{loop.Admit(published, func() field.ErrorList { return nil }), step(usable, nil)},
			want:  "Ready=True/Ready Published=True/Ready Usable=True/Ready",
		},
		"abnormal": {
			steps: []loop.Step{{Condition: abnormal, Run: func(_ context.Context, r *loop.Report) error {
				r.True("Duplicate", "two of them")
				return nil
			}}, step(published, nil)},
			want: "Ready=True/Ready Published=True/Ready Usable=Unknown/Pending SomethingWrong=True/Duplicate",
		},
		"nothing abnormal": {
			steps: []loop.Step{step(abnormal, nil), step(published, nil)},
			want:  "Ready=True/Ready Published=True/Ready Usable=Unknown/Pending",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newToken())
			result, err := b.run(loop.Spec{Steps: c.steps, Ready: []string{published}})
			if got := show(b.get()); got != c.want {
				t.Errorf("conditions\n got %s\nwant %s", got, c.want)
			}
			if (err != nil) != c.failed || c.failed && !errors.Is(err, boom) {
				t.Errorf("error %v", err)
			}
			if result.RequeueAfter != c.after {
				t.Errorf("again after %s, want %s", result.RequeueAfter, c.after)
			}
			if got := b.get().Status.ObservedGeneration; got != 3 {
				t.Errorf("observed generation %d", got)
			}
		})
	}
}

func TestStatusIsWrittenOnceAndOnlyIfChanged(t *testing.T) {
	b := newBench(t, newToken())
	spec := loop.Spec{Steps: []loop.Step{step(published, nil), step(usable, nil)}, Ready: []string{published}}
	for range 3 {
		if _, err := b.run(spec); err != nil {
			t.Fatal(err)
		}
		b.clock.SetTime(b.clock.Now().Add(time.Hour))
	}
	if b.patches != 1 {
		t.Errorf("%d writes, want 1", b.patches)
	}
	since := meta.FindStatusCondition(b.get().Status.Conditions, published).LastTransitionTime
	if !since.Time.Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("the condition is True since %s", since)
	}
}

// A pass over an object that the cache had not brought up to date writes nothing, tells nothing and takes nothing for written.
func TestAStaleObjectIsReadAgain(t *testing.T) {
	b := newBench(t, newToken())
	written := 0
	spec := loop.Spec{Steps: []loop.Step{step(published, nil)}, Ready: []string{published}, Written: func() { written++ }}
	stale := b.get()
	if _, err := b.run(spec); err != nil {
		t.Fatal(err)
	}
	before := b.get()
	b.told()
	b.clock.SetTime(b.clock.Now().Add(time.Minute))
	result, err := b.engine.Run(t.Context(), stale, spec)
	if err != nil || result.RequeueAfter == 0 || written != 1 {
		t.Errorf("got %+v, %v, written %d times; want another look soon", result, err, written)
	}
	if told := b.told(); b.get().ResourceVersion != before.ResourceVersion || len(told) != 0 {
		t.Errorf("it was written again, and told %q", told)
	}
	if _, err := b.run(spec); err != nil || written != 2 {
		t.Errorf("once it is read again: %v, written %d times", err, written)
	}
}

func TestTwoStepsMayShareACondition(t *testing.T) {
	b := newBench(t, newToken())
	spec := loop.Spec{Steps: []loop.Step{step(published, nil), step(published, loop.Wait("ServerUnreachable", 0, "later"))}, Ready: []string{published}}
	for range 2 {
		if _, err := b.run(spec); err != nil {
			t.Fatal(err)
		}
		b.clock.SetTime(b.clock.Now().Add(time.Hour))
	}
	if b.patches != 1 {
		t.Errorf("%d writes, want 1", b.patches)
	}
}

func TestEventsTellTransitions(t *testing.T) {
	b := newBench(t, newToken())
	ready := []string{published}
	for _, c := range []struct {
		err  error
		want string
	}{
		{loop.Stall("SecretTaken", "choose another"), "Warning SecretTaken Published: choose another"},
		{loop.Stall("SecretTaken", "choose another, please"), ""},
		{errors.New("boom"), ""},
		{nil, "Normal Ready Published is True"},
		{nil, ""},
		{loop.Wait(mdmv1alpha1.ProfileRollingOut, 0, "pods are replaced"), "Normal RollingOut Published: pods are replaced"},
	} {
		_, _ = b.run(loop.Spec{Steps: []loop.Step{step(published, c.err)}, Ready: ready})
		if got := strings.Join(b.told(), "; "); got != c.want {
			t.Errorf("after %v: events %q, want %q", c.err, got, c.want)
		}
	}
}

func TestAnObjectWhoseNamespaceGoesIsLeftAlone(t *testing.T) {
	b := newBench(t, newToken())
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "staff", errors.New("the namespace is being terminated"))
	refused.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	result, err := b.run(loop.Spec{Steps: []loop.Step{step(published, fmt.Errorf("making the Secret: %w", refused))}})
	if err != nil || result.RequeueAfter != 0 || b.patches != 0 {
		t.Fatalf("got %v, %v and %d patches; a retry is in vain and the object goes with its namespace", result, err, b.patches)
	}
}

func TestFinalizer(t *testing.T) {
	b := newBench(t, newToken())
	var outcome error
	finalized := 0
	spec := loop.Spec{
		Steps: []loop.Step{step(published, nil)},
		Finalize: []loop.Step{{Condition: published, Run: func(_ context.Context, r *loop.Report) error {
			finalized++
			if outcome == nil {
				r.False("ServerNotFound", "gave up")
			}
			return outcome
		}}},
		Ready: []string{published},
	}
	if _, err := b.run(spec); err != nil {
		t.Fatal(err)
	}
	token := b.get()
	if len(token.Finalizers) != 1 || meta.FindStatusCondition(token.Status.Conditions, published) == nil {
		t.Fatalf("after the first pass: %v, %s", token.Finalizers, show(token))
	}
	if err := b.client.Delete(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	outcome = loop.Wait("ServerUnreachable", time.Minute, "later")
	if result, err := b.run(spec); err != nil || result.RequeueAfter != time.Minute {
		t.Fatalf("%+v, %v", result, err)
	}
	if got, want := show(b.get()), "Ready=False/Deleting Published=False/ServerUnreachable Usable=Unknown/Pending Reconciling=True/Deleting"; got != want {
		t.Errorf("while waiting\n got %s\nwant %s", got, want)
	}
	b.told()
	outcome = nil
	if _, err := b.run(spec); err != nil {
		t.Fatal(err)
	}
	if b.get() != nil || finalized != 2 {
		t.Errorf("gone: %v, finalized %d times", b.get() == nil, finalized)
	}
	if got := strings.Join(b.told(), "; "); got != "Warning ServerNotFound Published: gave up" {
		t.Errorf("events %q", got)
	}
}

func TestPausedObjectsAreLeftAlone(t *testing.T) {
	token := newToken()
	token.Annotations = map[string]string{mdmv1alpha1.AnnotationPaused: "true"}
	b := newBench(t, token)
	ran := 0
	spec := loop.Spec{Steps: []loop.Step{{Condition: published, Run: func(context.Context, *loop.Report) error { ran++; return nil }}}, Ready: []string{published}}
	if _, err := b.run(spec); err != nil {
		t.Fatal(err)
	}
	if got := show(b.get()); got != "Ready=Unknown/Paused" || ran != 0 {
		t.Errorf("%s, ran %d times", got, ran)
	}
	token = b.get()
	token.Annotations = nil
	if err := b.client.Update(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if _, err := b.run(spec); err != nil {
		t.Fatal(err)
	}
	if got := meta.FindStatusCondition(b.get().Status.Conditions, mdmv1alpha1.ConditionReady); got.Status != metav1.ConditionTrue || ran != 1 {
		t.Errorf("%+v, ran %d times", got, ran)
	}
}

func TestRequestIsEchoedOnceHandled(t *testing.T) {
	token := newToken()
	token.Annotations = map[string]string{mdmv1alpha1.AnnotationRequestedAt: "now"}
	b := newBench(t, token)
	_, _ = b.run(loop.Spec{Steps: []loop.Step{step(published, errors.New("boom"))}})
	if got := b.get().Status.LastHandledRequest; got != "" {
		t.Errorf("a failed pass echoed %q", got)
	}
	_, _ = b.run(loop.Spec{Steps: []loop.Step{step(published, nil)}})
	if got := b.get().Status.LastHandledRequest; got != "now" {
		t.Errorf("echoed %q", got)
	}
}

// What holds from the first look on is no news; what does not is.
func TestFirstLookTellsOnlyWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"all is well":    {nil, ""},
		"something lags": {loop.Wait(mdmv1alpha1.ProfileRollingOut, 0, "pods are replaced"), ""},
		"it is wrong":    {loop.Stall("SecretTaken", "choose another"), "Warning SecretTaken Published: choose another"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, newToken())
			_, _ = b.run(loop.Spec{Steps: []loop.Step{step(published, c.err)}, Ready: []string{published}})
			if got := strings.Join(b.told(), "; "); got != c.want {
				t.Errorf("events %q, want %q", got, c.want)
			}
		})
	}
}

func TestHoldWritesNothing(t *testing.T) {
	b := newBench(t, newToken())
	result, err := b.run(loop.Spec{
		Steps:   []loop.Step{step(published, nil), step(usable, loop.Hold(time.Second))},
		Written: func() { t.Error("the object counts as written") },
	})
	if err != nil || result.RequeueAfter != time.Second || b.patches != 0 {
		t.Errorf("got %v, %v and %d patches", result, err, b.patches)
	}
}
