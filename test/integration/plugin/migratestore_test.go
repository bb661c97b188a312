package plugin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

const berlin = `apiVersion: mdm.kubemdm.io/v1alpha1
kind: MDMServer
metadata:
  name: berlin
spec:
  host: mdm.example.com
  organization: Example Ltd
  apple: {}
`

const goodLog = `{"table":"devices","rows":2}
{"done":true,"rows":2}
`

// cluster plays the operator, the Job controller, the garbage collector and a kubelet, on the real API server.
type cluster struct {
	*testing.T
	// log is that of the Job's pod. failed says that Jobs fail, held that they do not end.
	log          string
	failed, held atomic.Bool
	node         string
}

// newCluster makes a server on SQLite, and plays until the test ends.
func newCluster(t *testing.T, log string) *cluster {
	t.Helper()
	c := &cluster{T: t, log: log, node: strings.ToLower(t.Name())}
	kubelet := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.log) }))
	t.Cleanup(kubelet.Close)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: c.node}}
	c.make(node)
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(kubelet.Listener.Addr().(*net.TCPAddr).Port) //nolint:gosec // a port
	c.must(api.Status().Update(t.Context(), node))

	apply(t, pipeline, berlin)
	c.gone(&mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "berlin"}})
	c.make(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "berlin-db"}, StringData: map[string]string{"uri": "postgresql://mdm@db/mdm"}})
	c.make(set())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.play(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return c
}

// set is the StatefulSet that the operator makes.
func set() *appsv1.StatefulSet {
	labels := map[string]string{"app.kubernetes.io/name": "mdmserver"}
	return &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "berlin"}, Spec: appsv1.StatefulSetSpec{
		ServiceName: "berlin-admin", Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: "mdmserver", Image: "mdmserver:v2", Args: []string{"--config=/etc/kubemdm/config/config.json"},
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/var/lib/kubemdm"}, {Name: "config", MountPath: "/etc/kubemdm/config"}},
			}},
			Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "berlin-config"},
			}}}},
		}},
		VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}}},
	}}
}

// make creates an object that goes with the test.
func (c *cluster) make(o client.Object) {
	c.Helper()
	c.must(api.Create(c.Context(), o))
	c.gone(o)
}

func (c *cluster) gone(o client.Object) {
	c.Cleanup(func() { c.must(client.IgnoreNotFound(api.Delete(context.Background(), o))) })
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) play(ctx context.Context) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := errors.Join(operate(ctx), c.runJobs(ctx)); err != nil && ctx.Err() == nil {
			c.Error(err)
			return
		}
	}
}

// operate is the operator: the pods are as many as they should be.
func operate(ctx context.Context) error {
	s := &mdmv1alpha1.MDMServer{}
	if err := api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "berlin"}, s); err != nil || s.Status.ObservedGeneration == s.Generation {
		return client.IgnoreNotFound(err)
	}
	from := client.MergeFrom(s.DeepCopy())
	s.Status.ObservedGeneration, s.Status.Replicas = s.Generation, s.Spec.Replicas
	meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{Type: mdmv1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: mdmv1alpha1.ReasonReady})
	return api.Status().Patch(ctx, s, from)
}

// runJobs runs Jobs to their end, and takes those away that are deleted.
func (c *cluster) runJobs(ctx context.Context) error {
	jobs := &batchv1.JobList{}
	err := api.List(ctx, jobs, client.InNamespace(namespace))
	for i := range jobs.Items {
		job := &jobs.Items[i]
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: job.Name + "-x", Labels: job.Spec.Template.Labels}, Spec: job.Spec.Template.Spec}
		pod.Labels[batchv1.JobNameLabel], pod.Spec.NodeName = job.Name, c.node
		switch {
		case job.DeletionTimestamp != nil:
			from := client.MergeFrom(job.DeepCopy())
			job.Finalizers = nil
			err = errors.Join(err, client.IgnoreNotFound(api.Delete(ctx, pod, client.GracePeriodSeconds(0))), client.IgnoreNotFound(api.Patch(ctx, job, from)))
		case len(job.Status.Conditions) == 0 && !c.held.Load():
			err = errors.Join(err, client.IgnoreAlreadyExists(api.Create(ctx, pod)), api.Status().Update(ctx, c.ended(job)))
		}
	}
	return err
}

// ended is how the Job controller writes that a Job has ended.
func (c *cluster) ended(job *batchv1.Job) *batchv1.Job {
	now := metav1.Now()
	job.Status.StartTime = &now
	conditions := []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobComplete}
	if c.failed.Load() {
		conditions = []batchv1.JobConditionType{batchv1.JobFailureTarget, batchv1.JobFailed}
		job.Status.Failed = 1
	} else {
		job.Status.CompletionTime, job.Status.Succeeded = &now, 1
	}
	for _, name := range conditions {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: name, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	return job
}

// isOn checks where the server has its store, and that nothing else is left.
func (c *cluster) isOn(storage mdmv1alpha1.StorageType, replicas int32) {
	c.Helper()
	s := &mdmv1alpha1.MDMServer{}
	c.must(api.Get(c.Context(), client.ObjectKey{Namespace: namespace, Name: "berlin"}, s))
	jobs := &batchv1.JobList{}
	c.must(api.List(c.Context(), jobs, client.InNamespace(namespace)))
	if s.Spec.Storage.Type != storage || *s.Spec.Replicas != replicas || len(s.Annotations) > 0 || len(jobs.Items) > 0 {
		c.Errorf("it is on %s with %d replicas, the annotations %v and %d Jobs", s.Spec.Storage.Type, *s.Spec.Replicas, s.Annotations, len(jobs.Items))
	}
}

func (c *cluster) tells(text string, words ...string) {
	c.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			c.Errorf("it does not tell %q:\n%s", word, text)
		}
	}
}

var migrate = []string{"migrate-store", "berlin", "--to-secret", "berlin-db"}

func TestMigrateStore(t *testing.T) {
	c := newCluster(t, goodLog)
	out, notes, ok := mdm(t, admin, "y\n", append(migrate, "--replicas", "2")...)
	if !ok {
		t.Error("the exit code is not 0")
	}
	c.tells(out+notes, "! "+pipeline+" applies this MDMServer", "Copied: 2 rows in 1 table,", "berlin is on PostgreSQL, and serves devices")
	c.isOn(mdmv1alpha1.StoragePostgreSQL, 2)
	if out, _, ok := mdm(t, admin, "", migrate...); !ok || out != "berlin is on PostgreSQL already\n" {
		t.Errorf("again it says %q", out)
	}
}

func TestStoreThatIsNotMigrated(t *testing.T) {
	c := newCluster(t, "mdmserver: the database is not empty\n")
	_, notes, ok := mdm(t, reader, "", append(migrate, "--yes")...)
	if ok {
		t.Error("somebody without rights is answered 0")
	}
	c.tells(notes, "the right to patch mdmservers.mdm.kubemdm.io", "the right to create jobs.batch", "the right to get secrets")
	c.isOn(mdmv1alpha1.StorageSQLite, 1)

	_, notes, ok = mdm(t, admin, "", append(migrate, "--yes", "--replicas", "9")...)
	if ok {
		t.Error("too many replicas are answered 0")
	}
	c.tells(notes, "nothing was done", "maxConnections must be at least 4 for each replica")
	if strings.Contains(notes, "only while replicas is 0") {
		t.Errorf("it complains of what it is for: %s", notes)
	}
	c.isOn(mdmv1alpha1.StorageSQLite, 1)

	c.failed.Store(true)
	_, notes, ok = mdm(t, admin, "", append(migrate, "--yes")...)
	if ok {
		t.Error("a Job that failed is answered 0")
	}
	c.tells(notes, "the copy failed: mdmserver: the database is not empty", "goes on with SQLite as before: spec.replicas is 1")
	c.isOn(mdmv1alpha1.StorageSQLite, 1)
}

// Ctrl-C in the middle of the copy.
func TestMigrateStoreThatIsInterrupted(t *testing.T) {
	c := newCluster(t, goodLog)
	c.held.Store(true)
	run := exec.CommandContext(t.Context(), filepath.Join(home, "kubectl-mdm"), append(migrate, "--yes", "--namespace", namespace, "--cache-dir", t.TempDir())...)
	run.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(home, admin))
	notes := &strings.Builder{}
	run.Stderr = notes
	c.must(run.Start())
	key := client.ObjectKey{Namespace: namespace, Name: "berlin-migrate-store"}
	for api.Get(t.Context(), key, &batchv1.Job{}) != nil && t.Context().Err() == nil {
		<-time.After(10 * time.Millisecond)
	}
	c.must(run.Process.Signal(os.Interrupt))
	if err := run.Wait(); err == nil {
		t.Error("the exit code is 0")
	}
	c.tells(notes.String(), "interrupted", "goes on with SQLite as before: spec.replicas is 1")
	c.isOn(mdmv1alpha1.StorageSQLite, 1)
}
