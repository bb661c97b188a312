package owned

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const (
	dataVolume = "data"
	// annotationConfig on the pods replaces them when the configuration changes, which the server reads only at its start. Mounted credentials
	// have no such annotation: the server reloads them.
	annotationConfig = "mdm.kubemdm.io/config"
	// nonRoot is the numeric user and group of the image.
	nonRoot int64 = 65532
	// awsAudience is whom the token is for ("Obtaining credentials via web identity", AWS IAM User Guide).
	awsAudience  = "sts.amazonaws.com"
	awsTokenFile = "token"
	// stopSeconds is the time that a server has to end its polls and to close its store.
	stopSeconds int64 = 60
)

// StatefulSet runs the server's pods. They hold no Kubernetes credentials: everything reaches them as mounted files.
func (s Server) StatefulSet() *appsv1.StatefulSet {
	hash := sha256.Sum256([]byte(s.config()))
	return &appsv1.StatefulSet{
		ObjectMeta: s.meta(s.Name),
		Spec: appsv1.StatefulSetSpec{
			Replicas:    s.Spec.Replicas,
			ServiceName: s.AdminName(),
			Selector:    &metav1.LabelSelector{MatchLabels: s.Selector()},
			// A rollout that waits for a broken pod would never replace it by a good one.
			PodManagementPolicy: appsv1.ParallelPodManagement,
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{
					Labels:      s.Labels(),
					Annotations: map[string]string{annotationConfig: hex.EncodeToString(hash[:8])},
				},
				Spec: s.podSpec(),
			},
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
			Name:  appName,
			Image: s.Image,
			Args:  []string{"--config=" + dirConfig + "/" + configFile},
			// The root file system is read-only: SQLite puts its temporary files here.
			WorkingDir: dirData,
			Env:        s.awsEnv(),
			Ports: []corev1.ContainerPort{
				{Name: "devices", ContainerPort: portDevices}, {Name: "admin", ContainerPort: portAdmin}, {Name: "health", ContainerPort: portHealth},
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

func probe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("health")}},
		PeriodSeconds: period, TimeoutSeconds: 3, FailureThreshold: failures,
	}
}

func (s Server) volumes() ([]corev1.Volume, []corev1.VolumeMount) {
	volumes := []corev1.Volume{
		configMapVolume("config", s.ConfigName()),
		secretVolume("serving", s.ServingSecret()), secretVolume("admin", s.AdminName()), secretVolume("sealing", s.SealingName()),
	}
	mounts := []corev1.VolumeMount{
		{Name: dataVolume, MountPath: dirData},
		readOnly("config", dirConfig), readOnly("serving", dirServing), readOnly("admin", dirAdmin), readOnly("sealing", dirSealing),
	}
	mount := func(volume corev1.Volume, dir string) {
		volumes, mounts = append(volumes, volume), append(mounts, readOnly(volume.Name, dir))
	}
	if apple := s.Spec.Apple; apple != nil {
		mount(secretVolume("identity", s.AppleCA().SecretName), dirIdentity)
		push := secretVolume("push", s.PushName())
		push.Secret.Optional = ptr.To(true) // a server starts without a push certificate and takes it up later
		mount(push, dirPush)
		if ref := apple.Push.CAConfigMapRef; ref != nil {
			mount(caVolume("push-ca", *ref), dirPushCA)
		}
		if ref := apple.DeviceCAConfigMapRef; ref != nil {
			mount(caVolume("device-ca", *ref), dirDeviceCA)
		}
		if apple.SignIn != nil {
			mount(secretVolume("sign-in-apple", s.AppleSignInName()), dirAppleSignIn)
		}
		for i, other := range apple.Imports {
			ca := caVolume(fmt.Sprintf("import-%d", i), other.CAConfigMapRef)
			ca.ConfigMap.Optional = ptr.To(true) // a server starts without: all devices but the imported ones go on
			mount(ca, path.Join(dirImports, other.Name))
		}
	}
	if s.Spec.EnrollmentPage.LogoConfigMapRef != nil {
		page := configMapVolume("page", s.PageName())
		page.ConfigMap.Optional = ptr.To(true) // a server starts without its logo and takes it up later
		mount(page, dirPage)
	}
	if s.AWSRole != "" {
		mount(awsToken(), dirAWS)
	}
	if windows := s.Spec.Windows; windows != nil {
		mount(secretVolume("wstep", s.WindowsCA().SecretName), dirWSTEP)
		if windows.SignIn != nil {
			mount(secretVolume("sign-in", s.SignInName()), dirSignIn)
		}
	}
	return volumes, mounts
}

// awsToken is a token of the pod's service account for AWS alone: the API server, whose audience it lacks, accepts it for nothing.
func awsToken() corev1.Volume {
	return corev1.Volume{Name: "aws", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: ptr.To[int32](0o440),
		Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
			Audience: awsAudience, ExpirationSeconds: ptr.To[int64](3600), Path: awsTokenFile,
		}}},
	}}}
}

// awsEnv has the AWS SDK exchange the token for credentials of the role.
func (s Server) awsEnv() []corev1.EnvVar {
	if s.AWSRole == "" {
		return nil
	}
	return []corev1.EnvVar{
		{Name: "AWS_ROLE_ARN", Value: s.AWSRole},
		{Name: "AWS_WEB_IDENTITY_TOKEN_FILE", Value: dirAWS + "/" + awsTokenFile},
	}
}

// caVolume mounts one key of a ConfigMap as CAFile.
func caVolume(name string, ref mdmv1alpha1.KeyReference) corev1.Volume {
	ca := configMapVolume(name, ref.Name)
	ca.ConfigMap.Items = []corev1.KeyToPath{{Key: ref.Key, Path: serverconfig.CAFile}}
	return ca
}

func configMapVolume(name, configMap string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}},
	}}
}

func secretVolume(name, secret string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		Secret: &corev1.SecretVolumeSource{SecretName: secret, DefaultMode: ptr.To[int32](0o440)},
	}}
}

func readOnly(name, path string) corev1.VolumeMount {
	return corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: true}
}
