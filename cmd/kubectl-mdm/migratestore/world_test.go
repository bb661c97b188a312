package migratestore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/migratestore"
)

// annotation is where the command keeps the replicas that the server had.
const annotation = "mdm.kubemdm.io/migrate-store-replicas"

// goodLog is that of a copy that went well.
const goodLog = `{"table":"devices","rows":1000}
{"table":"devices","rows":1204}
{"table":"history","rows":796}
{"done":true,"rows":2000}
`

// world is a cluster with a server, whose operator and Job controller act within the request that gives them something to do.
type world struct {
	*testing.T
	client      client.WithWatch
	out, errOut bytes.Buffer
	in          string
	// log is that of the Job's pod; failed says that the Job fails.
	log    string
	failed bool
	// forbidden are rights that the person lacks, as "verb resource".
	forbidden []string
	// before is called before a change by the command; an error is what the command gets.
	before func(verb string, o client.Object, dryRun bool) error
	// onLog is called when the log is read.
	onLog func()
	// waiting is why the pod of the Job does not start, if it does not.
	waiting string
	// broken is a message of an operator that cannot start the server.
	broken string
	// steps are the changes that were made.
	steps []string
}

func newWorld(t *testing.T, change ...func(*mdmv1alpha1.MDMServer)) *world {
	w := &world{T: t, log: goodLog}
	server := &mdmv1alpha1.MDMServer{ObjectMeta: looktest.Meta("mdm"), Spec: mdmv1alpha1.MDMServerSpec{
		Replicas: ptr.To[int32](1), Storage: mdmv1alpha1.Storage{Type: mdmv1alpha1.StorageSQLite},
	}}
	server.UID, server.Status.Enrolled = "u1", ptr.To[int32](1204)
	for _, c := range change {
		c(server)
	}
	secret := &corev1.Secret{ObjectMeta: looktest.Meta("mdm-db"), Data: map[string][]byte{"uri": []byte("postgresql://")}}
	w.client = fake.NewClientBuilder().WithScheme(cli.Scheme).WithReturnManagedFields().WithObjects(server, statefulSet(), secret).
		WithInterceptorFuncs(interceptor.Funcs{Create: w.create, Patch: w.patch, Delete: w.delete}).Build()
	return w
}

// statefulSet is what the operator makes, as far as the command looks at it.
func statefulSet() *appsv1.StatefulSet {
	mounts := []corev1.VolumeMount{
		{Name: "data", MountPath: "/var/lib/kubemdm"}, {Name: "config", MountPath: "/etc/kubemdm/config", ReadOnly: true},
		{Name: "sealing", MountPath: "/etc/kubemdm/sealing", ReadOnly: true},
	}
	return &appsv1.StatefulSet{ObjectMeta: looktest.Meta("mdm"), Spec: appsv1.StatefulSetSpec{
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app.kubernetes.io/name": "mdmserver"}}, Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), FSGroup: ptr.To[int64](65532)},
			Containers: []corev1.Container{{
				Name: "mdmserver", Image: "registry.example.com/mdmserver:v2", Args: []string{"--config=/etc/kubemdm/config/config.json"}, WorkingDir: "/var/lib/kubemdm",
				Env: []corev1.EnvVar{{Name: "AWS_ROLE_ARN", Value: "r"}}, Ports: []corev1.ContainerPort{{ContainerPort: 8443}}, VolumeMounts: mounts,
				SecurityContext: &corev1.SecurityContext{ReadOnlyRootFilesystem: ptr.To(true)},
			}},
			Volumes: []corev1.Volume{
				{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "mdm-config"}}}},
				{Name: "sealing", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "mdm-sealing"}}},
			},
		}},
		VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}},
	}}
}

func (w *world) create(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
	switch o := o.(type) {
	case *authorizationv1.SelfSubjectAccessReview:
		a := o.Spec.ResourceAttributes
		resource := strings.TrimSuffix(a.Resource+"/"+a.Subresource, "/")
		o.Status.Allowed = !slices.Contains(w.forbidden, a.Verb+" "+resource)
		return nil
	case *batchv1.Job:
		if err := w.ask("create", o, false); err != nil {
			return err
		}
		if err := c.Create(ctx, o, options...); err != nil {
			return err
		}
		w.step("copy")
		return w.run(ctx, c, o)
	}
	return c.Create(ctx, o, options...)
}

// run is the Job's end.
func (w *world) run(ctx context.Context, c client.WithWatch, job *batchv1.Job) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: job.Namespace, Name: job.Name + "-x", Labels: map[string]string{batchv1.JobNameLabel: job.Name}}}
	if w.waiting != "" {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CreateContainerConfigError", Message: w.waiting}}}}
		return c.Create(ctx, pod)
	}
	as := batchv1.JobComplete
	if w.failed {
		as = batchv1.JobFailed
	}
	job.Status.Conditions = []batchv1.JobCondition{{Type: as, Status: corev1.ConditionTrue, Message: "it reached its backoff limit"}}
	return errors.Join(client.IgnoreAlreadyExists(c.Create(ctx, pod)), c.Status().Update(ctx, job))
}

func (w *world) patch(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
	dryRun := len((&client.PatchOptions{}).ApplyOptions(options).DryRun) > 0
	was := w.server()
	if err := w.ask("patch", o, dryRun); err != nil {
		return err
	}
	if err := c.Patch(ctx, o, p, options...); err != nil || dryRun {
		return err
	}
	server := o.(*mdmv1alpha1.MDMServer)
	if reflect.DeepEqual(server.Spec, was.Spec) {
		return nil
	}
	switch {
	case server.Spec.Storage.Type != was.Spec.Storage.Type:
		w.step("switch")
	case *server.Spec.Replicas == 0:
		w.step("stop")
	default:
		w.step("start")
	}
	server.Generation++
	w.operate(server)
	return c.Update(ctx, server)
}

// operate is the operator.
func (w *world) operate(server *mdmv1alpha1.MDMServer) {
	server.Status.ObservedGeneration, server.Status.Replicas = server.Generation, server.Spec.Replicas
	looktest.With(server, looktest.Well(mdmv1alpha1.ConditionReady))
	if w.broken != "" {
		looktest.With(server, looktest.Is(mdmv1alpha1.ConditionStalled, metav1.ConditionTrue, "Broken", w.broken))
	}
}

func (w *world) delete(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
	err := w.ask("delete", o, false)
	if err == nil {
		err = c.Delete(ctx, o, options...)
	}
	if err == nil {
		w.step("remove")
	}
	return err
}

func (w *world) ask(verb string, o client.Object, dryRun bool) error {
	if w.before == nil {
		return nil
	}
	return w.before(verb, o, dryRun)
}

func (w *world) step(name string) { w.steps = append(w.steps, name) }

// server is the MDMServer as it is.
func (w *world) server() *mdmv1alpha1.MDMServer {
	w.Helper()
	server := &mdmv1alpha1.MDMServer{}
	w.must(w.client.Get(w.Context(), client.ObjectKey{Namespace: looktest.Namespace, Name: "mdm"}, server))
	return server
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// migrate runs the command.
func (w *world) migrate(ctx context.Context, args ...string) error {
	w.Helper()
	w.out.Reset()
	w.errOut.Reset()
	w.steps = nil
	flags := genericclioptions.NewConfigFlags(false)
	space, none := looktest.Namespace, os.DevNull
	flags.Namespace, flags.KubeConfig = &space, &none
	c := migratestore.Command(&cli.Env{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(w.in), Out: &w.out, ErrOut: &w.errOut},
		Flags:     flags, Clock: clocktesting.NewFakePassiveClock(looktest.Now),
		Connect: func() (client.WithWatch, error) { return w.client, nil },
		Logs: func(context.Context, string, string, *corev1.PodLogOptions) (io.ReadCloser, error) {
			if w.onLog != nil {
				w.onLog()
			}
			return io.NopCloser(strings.NewReader(w.log)), nil
		},
	})
	c.SilenceUsage, c.SilenceErrors = true, true
	c.SetArgs(append([]string{"mdm", "--to-secret", "mdm-db"}, args...))
	return c.ExecuteContext(ctx)
}

// wants checks what was done, and what the command says in all.
func (w *world) wants(err error, steps string, texts ...string) {
	w.Helper()
	if got := strings.Join(w.steps, " "); got != steps {
		w.Errorf("it did %q, want %q", got, steps)
	}
	all := w.out.String() + w.errOut.String()
	if err != nil {
		all += err.Error()
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			w.Errorf("it does not tell %q:\n%s", text, all)
		}
	}
}

// isOn checks where the server has its store, and its replicas.
func (w *world) isOn(storage mdmv1alpha1.StorageType, replicas int32) {
	w.Helper()
	server := w.server()
	if server.Spec.Storage.Type != storage || *server.Spec.Replicas != replicas || server.Annotations[annotation] != "" {
		w.Errorf("it is on %s with %d replicas and the annotations %v, want %s with %d", server.Spec.Storage.Type, *server.Spec.Replicas, server.Annotations, storage, replicas)
	}
	jobs := &batchv1.JobList{}
	w.must(w.client.List(w.Context(), jobs))
	if len(jobs.Items) > 0 {
		w.Errorf("%d Jobs are left", len(jobs.Items))
	}
}
