package owned

import (
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const (
	// awsAudience is whom the token is for ("Obtaining credentials via web identity", AWS IAM User Guide).
	awsAudience  = "sts.amazonaws.com"
	awsTokenFile = "token"
)

func (s Server) volumes() ([]corev1.Volume, []corev1.VolumeMount) {
	volumes := []corev1.Volume{
		configMapVolume("config", s.ConfigName()),
		secretVolume("serving", s.ServingSecret()), secretVolume("admin", s.AdminName()), secretVolume("sealing", s.SealingName()),
	}
	mounts := []corev1.VolumeMount{
		readOnly("config", dirConfig), readOnly("serving", dirServing), readOnly("admin", dirAdmin), readOnly("sealing", dirSealing),
	}
	if !s.Shared() {
		mounts = slices.Insert(mounts, 0, corev1.VolumeMount{Name: dataVolume, MountPath: dirData})
	}
	mount := func(volume corev1.Volume, dir string) {
		volumes, mounts = append(volumes, volume), append(mounts, readOnly(volume.Name, dir))
	}
	s.mountDatabase(mount)
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

// mountDatabase mounts what leads to a database, if there is one.
func (s Server) mountDatabase(mount func(corev1.Volume, string)) {
	database := s.Spec.Storage.PostgreSQL
	if database == nil {
		return
	}
	mount(secretVolume("database", database.SecretRef.Name), dirDatabase)
	if database.CARef != nil {
		mount(databaseCA(*database.CARef), dirDatabaseCA)
	}
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

// databaseCA mounts one key of a Secret or ConfigMap as CAFile.
func databaseCA(ref mdmv1alpha1.CAReference) corev1.Volume {
	const name = "database-ca"
	if ref.Kind == mdmv1alpha1.CAReferenceConfigMap {
		return caVolume(name, mdmv1alpha1.KeyReference{Name: ref.Name, Key: ref.Key})
	}
	ca := secretVolume(name, ref.Name)
	ca.Secret.Items = []corev1.KeyToPath{{Key: ref.Key, Path: serverconfig.CAFile}}
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
