package migratestore_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
)

const (
	sqlite   = mdmv1alpha1.StorageSQLite
	postgres = mdmv1alpha1.StoragePostgreSQL
	whole    = "stop copy switch remove start"
)

func TestMove(t *testing.T) {
	w := newWorld(t, func(s *mdmv1alpha1.MDMServer) {
		s.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager: "argocd-controller", Operation: metav1.ManagedFieldsOperationApply, APIVersion: mdmv1alpha1.GroupVersion.String(), FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:host":{}}}`),
		}}
	})
	w.in = "y\n"
	err := w.migrate(t.Context(), "--replicas", "2")
	w.must(err)
	w.wants(err, whole,
		"1 now, 2 afterwards", "1204 enrolled devices", "not served for about 1 minute", "! argocd-controller applies this MDMServer", "Go on? [y/N]",
		"Copied: 2000 rows in 2 tables", "mdm is on PostgreSQL, and serves devices", "  spec:", "        name: mdm-db", "    replicas: 2", "      type: PostgreSQL",
		"kubectl delete persistentvolumeclaim data-mdm-0 --namespace fleet",
	)
	w.isOn(postgres, 2)
	wanted := &mdmv1alpha1.PostgreSQLStorage{SecretRef: mdmv1alpha1.LocalReference{Name: "mdm-db"}}
	if got := w.server().Spec.Storage.PostgreSQL; got == nil || *got != *wanted {
		t.Errorf("the storage is %+v", got)
	}
	w.must(w.migrate(t.Context()))
	w.wants(nil, "", "mdm is on PostgreSQL already")
	w.wants(w.migrate(t.Context(), "--to-secret", "other"), "", "on PostgreSQL already, with the Secret mdm-db")
}

// The Job has of the server's pod what keeps it safe, and of its Secrets none.
func TestJob(t *testing.T) {
	w := newWorld(t)
	w.must(w.client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: looktest.Meta("rds-ca"), Data: map[string]string{"bundle.pem": "PEM"}}))
	var job *batchv1.Job
	w.before = func(verb string, o client.Object, _ bool) error {
		if verb == "create" {
			job = o.DeepCopyObject().(*batchv1.Job)
		}
		return nil
	}
	w.must(w.migrate(t.Context(), "--yes", "--ca-configmap", "rds-ca", "--ca-key", "bundle.pem", "--timeout", "10m"))
	pod := job.Spec.Template.Spec
	c := pod.Containers[0]
	if c.Image != "registry.example.com/mdmserver:v2" || !*pod.SecurityContext.RunAsNonRoot || !*c.SecurityContext.ReadOnlyRootFilesystem ||
		*pod.AutomountServiceAccountToken || len(c.Env) > 0 || len(c.Ports) > 0 || pod.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("the pod is %+v", pod)
	}
	if got := strings.Join(c.Args, " "); got != "migrate-store --config=/etc/kubemdm/config/config.json --to-dir=/etc/kubemdm/database --ca-dir=/etc/kubemdm/database-ca" {
		t.Errorf("the arguments are %s", got)
	}
	var volumes []string
	for _, v := range pod.Volumes {
		volumes = append(volumes, v.Name)
	}
	if got := strings.Join(volumes, " "); got != "data config database database-ca" || pod.Volumes[0].PersistentVolumeClaim.ClaimName != "data-mdm-0" {
		t.Errorf("the volumes are %s", got)
	}
	if job.Spec.Template.Labels["app.kubernetes.io/name"] == "mdmserver" || *job.Spec.BackoffLimit != 0 || *job.Spec.ActiveDeadlineSeconds != 600 || job.OwnerReferences[0].UID != "u1" {
		t.Errorf("the Job is %+v", job)
	}
	w.isOn(postgres, 1)
}

// What is in the way is told at once, and nothing is stopped.
func TestNothingIsDone(t *testing.T) {
	secret := func(keys ...string) func(*world) {
		return func(w *world) {
			s := &corev1.Secret{ObjectMeta: looktest.Meta("mdm-db"), Data: map[string][]byte{}}
			for _, key := range keys {
				s.Data[key] = []byte("x")
			}
			w.must(w.client.Update(w.Context(), s))
		}
	}
	refused := func(err error) func(*world) {
		return func(w *world) { w.before = func(string, client.Object, bool) error { return err } }
	}
	kind := schema.GroupKind{Group: mdmv1alpha1.GroupVersion.Group, Kind: "MDMServer"}
	for name, tc := range map[string]struct {
		args   []string
		server func(*mdmv1alpha1.MDMServer)
		cause  func(*world)
		in     string
		want   []string
	}{
		"dry run":        {args: []string{"--dry-run"}, want: []string{"1. The server stops", "Nothing is in the way. Nothing was done."}},
		"not agreed":     {in: "n\n", want: []string{"not confirmed: nothing was done"}},
		"nobody answers": {in: "", want: []string{"without a terminal say --yes"}},
		"rights": {args: []string{"--yes"}, cause: func(w *world) { w.forbidden = []string{"create jobs", "get pods/log"} },
			want: []string{"the right to create jobs.batch in the namespace fleet", "the right to get pods/log in"}},
		"no Secret": {args: []string{"--yes", "--to-secret", "lost", "--ca-secret", "gone"}, want: []string{"there is no Secret lost", `"uri"`}},
		"a Secret that lacks much": {args: []string{"--yes", "--ca-secret", "gone"}, cause: secret("username"),
			want: []string{"lacks host", "lacks dbname or database", "no key ca.crt in the Secret gone"}},
		"no key in the ConfigMap": {args: []string{"--yes", "--ca-configmap", "gone"}, want: []string{"no key ca.crt in the ConfigMap gone"}},
		"a server that never ran": {args: []string{"--yes"}, cause: func(w *world) { w.must(w.client.Delete(w.Context(), statefulSet())); w.steps = nil },
			want: []string{"there is no StatefulSet mdm, so the server has never run"}},
		"a StatefulSet of somebody else's": {args: []string{"--yes"}, want: []string{"the StatefulSet mdm does not mount its volume and its configuration as it should"},
			cause: func(w *world) {
				set := statefulSet()
				set.Spec.Template.Spec.Containers[0].VolumeMounts[0].Name = "other"
				w.must(w.client.Update(w.Context(), set))
			}},
		"two CAs":        {args: []string{"--yes", "--ca-configmap", "a", "--ca-secret", "b"}, want: []string{"contradict each other"}},
		"a key of no CA": {args: []string{"--yes", "--ca-key", "a"}, want: []string{"--ca-key goes with"}},
		"replicas":       {args: []string{"--yes", "--replicas", "-2"}, want: []string{"--replicas must be"}},
		"timeout":        {args: []string{"--yes", "--timeout", "0s"}, want: []string{"--timeout must be"}},
		"paused": {args: []string{"--yes"}, server: func(s *mdmv1alpha1.MDMServer) {
			s.Annotations = map[string]string{mdmv1alpha1.AnnotationPaused: "true"}
		},
			want: []string{"mdm is paused"}},
		"an operator that is too old": {args: []string{"--yes"}, cause: refused(apierrors.NewBadRequest(`strict decoding error: unknown field "spec.storage.postgresql"`)),
			want: []string{"does not know storage in PostgreSQL: upgrade it"}},
		"an old type": {args: []string{"--yes"}, want: []string{"does not know storage in PostgreSQL: upgrade it"},
			cause: refused(apierrors.NewInvalid(kind, "mdm", field.ErrorList{field.NotSupported(field.NewPath("spec.storage.type"), "PostgreSQL", []string{"SQLite"})}))},
		"what the API server refuses": {args: []string{"--yes"}, want: []string{"- spec: Invalid value: \"\": maxConnections must be at least"},
			cause: refused(apierrors.NewInvalid(kind, "mdm", field.ErrorList{
				field.Invalid(field.NewPath("spec"), "", "only while replicas is 0"), field.Invalid(field.NewPath("spec"), "", "maxConnections must be at least 4 for each"),
			}))},
		"a policy": {args: []string{"--yes"}, want: []string{"- not on a Friday"},
			cause: refused(apierrors.NewForbidden(schema.GroupResource{}, "mdm", errors.New("ValidatingAdmissionPolicy 'x' denied request: not on a Friday")))},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tc.server != nil {
				w = newWorld(t, tc.server)
			}
			if tc.cause != nil {
				tc.cause(w)
			}
			w.in = tc.in
			err := w.migrate(t.Context(), tc.args...)
			if (err == nil) != (name == "dry run") {
				t.Errorf("the error is %v", err)
			}
			w.wants(err, "", tc.want...)
			if err != nil && strings.Contains(err.Error(), "only while replicas is 0") {
				t.Errorf("it complains of what it is for: %v", err)
			}
			w.isOn(sqlite, 1)
		})
	}
}

// Whatever fails before the switch, the server goes on with SQLite.
func TestGoingBack(t *testing.T) {
	onPatch := func(wanted func(*mdmv1alpha1.MDMServer, bool) bool, do func(*world) error) func(*world) {
		return func(w *world) {
			w.before = func(verb string, o client.Object, dryRun bool) error {
				if s, is := o.(*mdmv1alpha1.MDMServer); is && wanted(s, dryRun) {
					w.before = nil
					return do(w)
				}
				return nil
			}
		}
	}
	stopped := func(s *mdmv1alpha1.MDMServer, dryRun bool) bool { return s.Annotations[annotation] != "" && !dryRun }
	for name, tc := range map[string]struct {
		cause func(*world)
		steps string
		want  []string
	}{
		"the copy fails": {func(w *world) {
			w.failed, w.log = true, "{\"table\":\"meta\",\"rows\":1}\nmdmserver: the database is not empty\n"
		},
			"stop copy remove start", []string{"the copy failed: mdmserver: the database is not empty"}},
		"the Job says nothing": {func(w *world) { w.failed, w.log = true, "" }, "stop copy remove start", []string{"the copy failed: it reached its backoff limit"}},
		"no counts":            {func(w *world) { w.log = "" }, "stop copy remove start", []string{"with the counts, cannot be read"}},
		"cut off":              {func(w *world) { w.log = "{\"table\":\"meta\",\"rows\":1}\n" }, "stop copy remove start", []string{"with the counts, cannot be read"}},
		"other counts": {func(w *world) { w.log = "{\"table\":\"meta\",\"rows\":1}\n{\"done\":true,\"rows\":2}\n" }, "stop copy remove start",
			[]string{"says that it copied 2 rows, and of the tables it says 1"}},
		"no Job": {func(w *world) {
			w.before = func(verb string, _ client.Object, _ bool) error {
				if verb == "create" {
					return errors.New("exceeded quota")
				}
				return nil
			}
		}, "stop start", []string{"creating the Job mdm-migrate-store: exceeded quota"}},
		"a policy refuses the stopped server's switch": {onPatch(func(s *mdmv1alpha1.MDMServer, dryRun bool) bool { return dryRun && s.Annotations[annotation] != "" },
			func(*world) error { return errors.New("not today") }), "stop start", []string{"trying the switch of spec.storage: not today"}},
		"the switch is refused": {onPatch(stopped, func(*world) error { return errors.New("not now") }), "stop copy remove start",
			[]string{"switching spec.storage: not now", "Empty the database before"}},
		"a pipeline starts the server in the middle": {func(w *world) {
			w.onLog = func() {
				s := w.server()
				s.Generation++
				s.Spec.Replicas = ptr.To[int32](1)
				w.operate(s)
				w.must(w.client.Update(w.Context(), s))
			}
		}, "stop copy remove", []string{"somebody else has changed the spec of mdm meanwhile", "suspend that first"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tc.cause(w)
			err := w.migrate(t.Context(), "--yes")
			if err == nil {
				t.Error("there is no error")
			}
			w.wants(err, tc.steps, append(tc.want, "The server mdm goes on with SQLite as before: spec.replicas is 1")...)
			w.isOn(sqlite, 1)
		})
	}
}

// A Job that does not start is given up, and it is said what its pod waits for.
func TestJobThatDoesNotStart(t *testing.T) {
	w := newWorld(t)
	w.waiting = "couldn't find key uri"
	err := w.migrate(t.Context(), "--yes", "--timeout", "50ms")
	w.wants(err, "stop copy remove start", "not done after 50ms: the pod of the Job starts", "The pod of the Job waits: CreateContainerConfigError: couldn't find key uri",
		"goes on with SQLite as before")
	w.isOn(sqlite, 1)
}

// Ctrl-C takes back what was done.
func TestInterruption(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.onLog = cancel
	err := w.migrate(ctx, "--yes")
	w.wants(err, "stop copy remove start", "interrupted", "goes on with SQLite as before")
	w.isOn(sqlite, 1)
}

// killed runs the command until a change comes that it does not live to make.
func (w *world) killed(when func(verb string, o client.Object) bool) {
	w.Helper()
	dead := errors.New("killed")
	over := false
	w.before = func(verb string, o client.Object, dryRun bool) error {
		if over = over || !dryRun && when(verb, o); over {
			return dead
		}
		return nil
	}
	if err := w.migrate(w.Context(), "--yes"); !errors.Is(err, dead) {
		w.Fatal(err)
	}
	w.before = nil
	if w.server().Annotations[annotation] != "1" {
		w.Fatal("nothing says how many replicas there were")
	}
}

// afterCopy is the change that comes after the copy, atStart the one after the switch.
func afterCopy(verb string, o client.Object) bool {
	return verb == "patch" && o.GetAnnotations()[annotation] != "" && !atStart(verb, o)
}

func atStart(verb string, o client.Object) bool {
	s, is := o.(*mdmv1alpha1.MDMServer)
	return verb == "patch" && is && s.Spec.Storage.Type == postgres
}

// Whatever a run that was killed has left, the next one does what is left to do.
func TestRunAgain(t *testing.T) {
	change := func(do func(*batchv1.Job)) func(*world) {
		return func(w *world) {
			job := &batchv1.Job{}
			w.must(w.client.Get(w.Context(), client.ObjectKey{Namespace: looktest.Namespace, Name: "mdm-migrate-store"}, job))
			do(job)
			status := job.DeepCopy()
			w.must(w.client.Update(w.Context(), job))
			status.ResourceVersion = job.ResourceVersion
			w.must(w.client.Status().Update(w.Context(), status))
		}
	}
	for name, tc := range map[string]struct {
		when  func(verb string, o client.Object) bool
		since func(*world)
		steps string
		want  string
	}{
		"stopped": {func(verb string, _ client.Object) bool { return verb == "create" }, nil, "copy switch remove start", "1 now, 1 afterwards"},
		"copied":  {afterCopy, nil, "switch remove start", "The Job mdm-migrate-store of an earlier run goes on"},
		"copied, and changed since": {afterCopy, change(func(job *batchv1.Job) { job.Annotations["mdm.kubemdm.io/migrate-store-of"] = "another state" }),
			"remove copy switch remove start", ""},
		"the copy failed": {afterCopy, change(func(job *batchv1.Job) { job.Status.Conditions[0].Type = batchv1.JobFailed }), "remove copy switch remove start", ""},
		"copied to another database": {afterCopy, func(w *world) {
			w.must(w.client.Update(w.Context(), &corev1.Secret{ObjectMeta: looktest.Meta("mdm-db"), Data: map[string][]byte{"uri": []byte("another")}}))
		}, "remove copy switch remove start", ""},
		"switched": {atStart, nil, "start", "mdm was switched to PostgreSQL by an earlier run"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.killed(tc.when)
			if tc.since != nil {
				tc.since(w)
			}
			err := w.migrate(t.Context(), "--yes")
			w.must(err)
			w.wants(err, tc.steps, tc.want)
			w.isOn(postgres, 1)
		})
	}
}

// A server that does not start on PostgreSQL is left there: all that it stored is.
func TestServerThatDoesNotStart(t *testing.T) {
	w := newWorld(t)
	w.onLog = func() { w.broken = "the Secret lacks a password" }
	w.wants(w.migrate(t.Context(), "--yes"), whole, "all of its store is there, and it does not serve yet: the Secret lacks a password", "how to go back")
	w.isOn(postgres, 1)
}

// Who asks for no replicas gets a server that is moved and stopped.
func TestStoppedServer(t *testing.T) {
	w := newWorld(t, func(s *mdmv1alpha1.MDMServer) {
		s.Spec.Replicas, s.Status.Replicas, s.Status.ObservedGeneration = ptr.To[int32](0), ptr.To[int32](0), s.Generation
	})
	err := w.migrate(t.Context(), "--yes")
	w.must(err)
	w.wants(err, "copy switch remove", "0 now, 0 afterwards", "mdm is on PostgreSQL\n")
	w.isOn(postgres, 0)
}
