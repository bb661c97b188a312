package migratestore

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const (
	// stamp is the annotation of the Job that says of which state of the server, and with which Secret, the copy is.
	stamp = "mdm.kubemdm.io/migrate-store-of"
	// dataVolume is the name of the claim template of a server with SQLite.
	dataVolume = "data"
	// container is the Job's.
	container = "migrate-store"
	// again is the pause between two looks at whether something is gone.
	again = time.Second
	// Where the Job finds what says how to reach the database.
	dirDatabase   = "/etc/kubemdm/database"
	dirDatabaseCA = "/etc/kubemdm/database-ca"
)

func (m *move) jobName() string { return m.server.Name + "-migrate-store" }

// claim names the volume claim of the server's pod, which the StatefulSet makes of its template.
func (m *move) claim() string { return dataVolume + "-" + m.server.Name + "-0" }

// newJob is the Job that copies. It has none of the labels of the server: devices must not reach it. A copy that fails is not tried again behind a person's back.
func (m *move) newJob() (*batchv1.Job, error) {
	spec, err := m.pod()
	if err != nil {
		return nil, err
	}
	labels := map[string]string{"app.kubernetes.io/name": "mdmserver-migrate-store", "app.kubernetes.io/managed-by": cli.FieldManager, mdmv1alpha1.LabelServer: m.server.Name}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: m.server.Namespace, Name: m.jobName(), Labels: labels, Annotations: map[string]string{stamp: m.stamp()}}}
	job.OwnerReferences = []metav1.OwnerReference{{APIVersion: mdmv1alpha1.GroupVersion.String(), Kind: "MDMServer", Name: m.server.Name, UID: m.server.UID}}
	job.Spec = batchv1.JobSpec{
		BackoffLimit: ptr.To[int32](0), ActiveDeadlineSeconds: ptr.To(max(1, int64(m.timeout.Seconds()))),
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: *spec},
	}
	return job, nil
}

// stamp changes whenever a copy that was made before is worth nothing any more: the server may have run since, or the database is another one.
func (m *move) stamp() string {
	return fmt.Sprintf("%s/%d %s/%s %s/%s", m.server.UID, m.server.Generation, m.secret, m.secretVersion, m.authority(), m.caKey)
}

// pod is that of the server with its image and its security, and of its volumes only the one of the store and the one of the configuration.
func (m *move) pod() (*corev1.PodSpec, error) {
	spec := m.set.Spec.Template.Spec.DeepCopy()
	if len(spec.Containers) == 0 {
		return nil, fmt.Errorf("the StatefulSet %s has no container: is it the operator's?", m.set.Name)
	}
	c := spec.Containers[0]
	config := configFile(c.Args)
	var mounts []corev1.VolumeMount
	var volumes []corev1.Volume
	for _, mount := range c.VolumeMounts {
		if mount.Name == dataVolume {
			mounts = append(mounts, mount)
			volumes = append(volumes, corev1.Volume{Name: dataVolume, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.claim()},
			}})
		}
		for _, v := range spec.Volumes {
			if v.Name == mount.Name && config != "" && path.Dir(config) == mount.MountPath {
				mounts, volumes = append(mounts, mount), append(volumes, v)
			}
		}
	}
	if len(volumes) != 2 {
		return nil, fmt.Errorf("the StatefulSet %s does not mount its volume and its configuration as it should: is it the operator's?", m.set.Name)
	}
	args := []string{"migrate-store", "--config=" + config, "--to-dir=" + dirDatabase}
	mount := func(v corev1.Volume, dir string) {
		volumes, mounts = append(volumes, v), append(mounts, corev1.VolumeMount{Name: v.Name, MountPath: dir, ReadOnly: true})
	}
	mount(secretVolume("database", m.secret, nil), dirDatabase)
	if ca := m.caVolume(); ca != nil {
		mount(*ca, dirDatabaseCA)
		args = append(args, "--ca-dir="+dirDatabaseCA)
	}
	spec.Containers = []corev1.Container{{
		Name: container, Image: c.Image, ImagePullPolicy: c.ImagePullPolicy, Args: args, WorkingDir: c.WorkingDir, Resources: c.Resources,
		SecurityContext: c.SecurityContext, VolumeMounts: mounts,
	}}
	spec.Volumes, spec.InitContainers, spec.RestartPolicy, spec.AutomountServiceAccountToken = volumes, nil, corev1.RestartPolicyNever, ptr.To(false)
	return spec, nil
}

// configFile is the file that the server is started with.
func configFile(args []string) string {
	for _, arg := range args {
		if file, is := strings.CutPrefix(arg, "--config="); is {
			return file
		}
	}
	return ""
}

func secretVolume(name, secret string, items []corev1.KeyToPath) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		Secret: &corev1.SecretVolumeSource{SecretName: secret, Items: items, DefaultMode: ptr.To[int32](0o440)},
	}}
}

// caVolume mounts the CA under the one name that the server looks for.
func (m *move) caVolume() *corev1.Volume {
	const name = "database-ca"
	items := []corev1.KeyToPath{{Key: m.caKey, Path: serverconfig.CAFile}}
	switch {
	case m.caSecret != "":
		return new(secretVolume(name, m.caSecret, items))
	case m.caConfigMap != "":
		return &corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: m.caConfigMap}, Items: items},
		}}
	}
	return nil
}

// createJob creates the Job, or goes on with that of an earlier run if its copy is of the same state and has not failed.
func (m *move) createJob(ctx context.Context) error {
	job, err := m.newJob()
	if err != nil {
		return err
	}
	err = m.session.Create(ctx, job, client.FieldOwner(cli.FieldManager))
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	there := &batchv1.Job{}
	if found, err := m.get(ctx, job.Name, there); err != nil {
		return err
	} else if found && there.Annotations[stamp] == m.stamp() && there.DeletionTimestamp == nil && !ended(there, batchv1.JobFailed) {
		return m.say("The Job %s of an earlier run goes on", job.Name)
	}
	if err := m.removeJob(ctx); err != nil {
		return err
	}
	job, err = m.newJob()
	if err != nil {
		return err
	}
	return m.session.Create(ctx, job, client.FieldOwner(cli.FieldManager))
}

// removeJob removes the Job with its pod and waits until both are gone.
func (m *move) removeJob(ctx context.Context) error {
	job := &batchv1.Job{}
	job.Namespace, job.Name = m.server.Namespace, m.jobName()
	err := m.session.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationForeground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the Job %s: %w", job.Name, err)
	}
	err = wait.PollUntilContextCancel(ctx, again, true, func(ctx context.Context) (bool, error) {
		there, err := m.get(ctx, job.Name, &batchv1.Job{})
		return !there, err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the Job %s does not go away", job.Name)
	}
	return err
}

// ended says whether a Job has ended so.
func ended(job *batchv1.Job, as batchv1.JobConditionType) bool {
	for _, c := range job.Status.Conditions {
		if c.Type == as && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
