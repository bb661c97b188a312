package owned

import (
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// Labels that every owned object carries. The cache holds no other objects of the kinds that are owned.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "kubemdm"
	labelName      = "app.kubernetes.io/name"
	appName        = "mdmserver"
)

// FieldAPNSCertificate is the name of the field index by which MDMServers are found that use an APNSCertificate (see controllers/setup).
const FieldAPNSCertificate = "spec.apple.apnsCertificateRef.name"

// Ports of the server's container.
const (
	portDevices = 8443
	portAdmin   = 9443
	portHealth  = 8080
)

// AdminPortName is the name of the internal API's port.
const AdminPortName = "admin"

// portHTTPS is that of https URLs without one.
const portHTTPS = 443

// AdminClientName is the common name by which a server knows its manager.
const AdminClientName = "kubemdm-manager"

// Server is what the builders need to know.
type Server struct {
	*mdmv1alpha1.MDMServer
	// Image of the server, from its spec or the manager's default.
	Image string
	// ManagerNamespace is where the manager runs, which alone may reach the internal API.
	ManagerNamespace string
	// DatabasePorts are those of a PostgreSQL database.
	DatabasePorts []int
	// AWSRole is the IAM role (ARN) that the pods take to reach a push key in AWS KMS, or "".
	AWSRole string
}

// Shared says whether all replicas share one store, so that there may be any number of them.
func (s Server) Shared() bool { return s.Spec.Storage.Type == mdmv1alpha1.StoragePostgreSQL }

func (s Server) sub(suffix string) string { return s.Name + "-" + suffix }

// ConfigName names the ConfigMap with the server's configuration file.
func (s Server) ConfigName() string { return s.sub("config") }

// AdminName names the Service of the internal API and the Secret of its certificate.
func (s Server) AdminName() string { return s.sub("admin") }

// AdminClientName names the Secret of the manager's certificate for the internal API.
func (s Server) AdminClientName() string { return s.sub("admin-client") }

// ServingName names the Certificate that devices see, unless they see one from a Secret that was given.
func (s Server) ServingName() string { return s.sub("serving") }

// PushName names the Secret with the push certificate that was found good.
func (s Server) PushName() string { return s.sub("push") }

// SealingName names the Secret with the sealing keys, which nothing can replace.
func (s Server) SealingName() string { return s.sub("sealing") }

// SignInName names the Secret with the credentials for the OpenID Connect issuer of PCs that were found good.
func (s Server) SignInName() string { return s.sub("sign-in") }

// AppleSignInName is SignInName for Apple devices.
func (s Server) AppleSignInName() string { return s.sub("sign-in-apple") }

// PageName names the ConfigMap with the logo of the enrolment page that was found good.
func (s Server) PageName() string { return s.sub("page") }

// ClaimName names the volume claim of the first pod.
func (s Server) ClaimName() string { return dataVolume + "-" + s.Name + "-0" }

// ServingSecret is the Secret of the certificate that devices see.
func (s Server) ServingSecret() string {
	if s.Spec.TLS.Type == mdmv1alpha1.TLSSecret {
		return s.Spec.TLS.SecretRef.Name
	}
	return s.ServingName()
}

// AdminURL is the base of the internal API.
func (s Server) AdminURL() string {
	return fmt.Sprintf("https://%s.%s.svc:%d", s.AdminName(), s.Namespace, portAdmin)
}

// Selector are the labels that select the server's pods.
func (s Server) Selector() map[string]string {
	return map[string]string{labelName: appName, mdmv1alpha1.LabelServer: s.Name}
}

// Labels are those of every object of the server.
func (s Server) Labels() map[string]string {
	labels := s.Selector()
	labels[LabelManagedBy] = ManagedBy
	return labels
}

func (s Server) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.Namespace, Name: name, Labels: s.Labels()}
}

// merged returns the union of maps; later ones win.
func merged(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}
