package owned

import (
	"crypto/sha256"
	"encoding/hex"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

const (
	// annotationConfig on the pods replaces them when the configuration changes, which the server reads only at its start. Mounted credentials
	// have no such annotation: the server reloads them.
	annotationConfig = "mdm.kubemdm.io/config"
	// nonRoot is the numeric user and group of the image.
	nonRoot int64 = 65532
	// stopSeconds is the time that a server has to end its polls, to leave (leaveTime), to answer what is under way and to close its store.
	stopSeconds int64 = 60
)

// pod is the template of the server's pods. They hold no Kubernetes credentials: everything reaches them as mounted files.
func (s Server) pod() corev1.PodTemplateSpec {
	hash := sha256.Sum256([]byte(s.config()))
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      s.Labels(),
			Annotations: map[string]string{annotationConfig: hex.EncodeToString(hash[:8])},
		},
		Spec: s.podSpec(),
	}
}

func (s Server) podSpec() corev1.PodSpec {
	volumes, mounts := s.volumes()
	return corev1.PodSpec{
		AutomountServiceAccountToken:  ptr.To(false),
		EnableServiceLinks:            ptr.To(false),
		TerminationGracePeriodSeconds: ptr.To(stopSeconds),
		NodeSelector:                  s.Spec.NodeSelector,
		Tolerations:                   s.Spec.Tolerations,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(nonRoot), RunAsGroup: ptr.To(nonRoot),
			FSGroup: ptr.To(nonRoot), FSGroupChangePolicy: ptr.To(corev1.FSGroupChangeOnRootMismatch),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name:       appName,
			Image:      s.Image,
			Args:       []string{"--config=" + dirConfig + "/" + configFile},
			WorkingDir: s.workingDir(),
			Env:        s.awsEnv(),
			Ports: []corev1.ContainerPort{
				{Name: "devices", ContainerPort: portDevices}, {Name: AdminPortName, ContainerPort: portAdmin}, {Name: "health", ContainerPort: portHealth},
			},
			Resources:      s.Spec.Resources,
			VolumeMounts:   mounts,
			ReadinessProbe: probe("/readyz", 5, 3),
			LivenessProbe:  probe("/healthz", 15, 4),
			// A large store may take its time to migrate.
			StartupProbe: probe("/healthz", 5, 120),
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false),
				ReadOnlyRootFilesystem:   ptr.To(true),
				Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
		Volumes: volumes,
	}
}

// workingDir is where SQLite puts its temporary files: the root file system is read-only. PostgreSQL needs none.
func (s Server) workingDir() string {
	if s.Shared() {
		return ""
	}
	return dirData
}

func probe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("health")}},
		PeriodSeconds: period, TimeoutSeconds: 3, FailureThreshold: failures,
	}
}
