package owned

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const dataVolume = "data"

// StatefulSet runs the pod of a server with a volume of its own.
func (s Server) StatefulSet() *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: s.meta(s.Name),
		Spec: appsv1.StatefulSetSpec{
			Replicas:    s.Spec.Replicas,
			ServiceName: s.AdminName(),
			Selector:    &metav1.LabelSelector{MatchLabels: s.Selector()},
			// A rollout that waits for a broken pod would never replace it by a good one.
			PodManagementPolicy:  appsv1.ParallelPodManagement,
			Template:             s.pod(),
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{s.claim()},
			PersistentVolumeClaimRetentionPolicy: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
				WhenScaled:  appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			},
		},
	}
}

func (s Server) claim() corev1.PersistentVolumeClaim {
	sqlite := s.Spec.Storage.SQLite
	claim := corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: dataVolume, Labels: s.Labels()},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: sqlite.Size}},
		},
	}
	if sqlite.StorageClassName != "" {
		claim.Spec.StorageClassName = &sqlite.StorageClassName
	}
	return claim
}
