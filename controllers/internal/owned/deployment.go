package owned

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// maxSurge is how many pods there are more than replicas while they are replaced.
const maxSurge = 1

// Deployment runs the pods of a server whose store is elsewhere. A pod goes only when the one in its place is ready, and no two share a node or a zone where
// there are others.
func (s Server) Deployment() *appsv1.Deployment {
	template := s.pod()
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelHostname} {
		template.Spec.TopologySpreadConstraints = append(template.Spec.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
			TopologyKey: key, MaxSkew: 1, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector:  &metav1.LabelSelector{MatchLabels: s.Selector()},
			MatchLabelKeys: []string{appsv1.DefaultDeploymentUniqueLabelKey}, // pods that are about to go do not count
		})
	}
	return &appsv1.Deployment{ObjectMeta: s.meta(s.Name), Spec: appsv1.DeploymentSpec{
		Replicas: s.Spec.Replicas,
		Selector: &metav1.LabelSelector{MatchLabels: s.Selector()},
		Template: template,
		Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxUnavailable: ptr.To(intstr.FromInt(0)), MaxSurge: ptr.To(intstr.FromInt(maxSurge)),
		}},
	}}
}
