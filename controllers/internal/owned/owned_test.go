package owned_test

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/golden"
)

// minimal is what a user who writes only what is required gets: the defaults are the API server's.
func minimal() owned.Server {
	hours := func(h int) metav1.Duration { return metav1.Duration{Duration: time.Duration(h) * time.Hour} }
	return owned.Server{Image: "kubemdm/mdmserver:v1", ManagerNamespace: "kubemdm-system", MDMServer: &mdmv1alpha1.MDMServer{
		ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "mdm"},
		Spec: mdmv1alpha1.MDMServerSpec{
			Host: "mdm.example.com", Organization: "Example Ltd", Replicas: ptr.To[int32](1),
			Storage: mdmv1alpha1.Storage{Type: mdmv1alpha1.StorageSQLite, SQLite: mdmv1alpha1.SQLiteStorage{Size: resource.MustParse("5Gi")}},
			TLS:     mdmv1alpha1.ServingTLS{Type: mdmv1alpha1.TLSSelfSigned},
			Apple: &mdmv1alpha1.AppleServer{
				Identity: mdmv1alpha1.AppleIdentity{
					DeviceIdentity: mdmv1alpha1.DeviceIdentity{Validity: hours(8760), CAValidity: hours(87600)}, RenewBefore: hours(4320),
				},
				AccessRights: 8191,
				Push:         mdmv1alpha1.ApplePush{URL: "https://api.push.apple.com"},
			},
			Exposure:    mdmv1alpha1.Exposure{Service: mdmv1alpha1.ServiceExposure{Type: mdmv1alpha1.ServiceClusterIP, Port: 443}},
			SilentAfter: hours(168),
		},
	}}
}

// windows is a server for PCs only, with nothing but what is required.
func windows() owned.Server {
	hours := func(h int) metav1.Duration { return metav1.Duration{Duration: time.Duration(h) * time.Hour} }
	s := minimal()
	s.Spec.Apple = nil
	s.Spec.Windows = &mdmv1alpha1.WindowsServer{
		Identity: mdmv1alpha1.WindowsIdentity{
			DeviceIdentity: mdmv1alpha1.DeviceIdentity{Validity: hours(8760), CAValidity: hours(87600)}, RenewBefore: hours(1008),
		},
		Authentication: mdmv1alpha1.WindowsAuthentication{Require: mdmv1alpha1.WindowsProofDigest},
		PollEvery:      hours(8), VerifyEvery: hours(8),
	}
	return s
}

// full uses every field.
func full() owned.Server {
	s := minimal()
	spec := &s.Spec
	spec.Host = "mdm.example.com:8443"
	spec.Replicas = ptr.To[int32](3)
	spec.Storage.SQLite.StorageClassName = "fast"
	spec.TLS = mdmv1alpha1.ServingTLS{Type: mdmv1alpha1.TLSIssuer, IssuerRef: &cmmeta.IssuerReference{Kind: "ClusterIssuer", Name: "letsencrypt"}}
	spec.Apple.Identity.IssuerRef = &cmmeta.IssuerReference{Kind: "Issuer", Name: "corporate"}
	spec.Apple.Push = mdmv1alpha1.ApplePush{URL: "https://apns.fake.svc:5223", CAConfigMapRef: &mdmv1alpha1.KeyReference{Name: "fake-apns", Key: "root.pem"}}
	spec.Apple.DeviceCAConfigMapRef = &mdmv1alpha1.KeyReference{Name: "fake-apple", Key: "devices.pem"}
	spec.Apple.Imports = []mdmv1alpha1.AppleImport{{
		Name: "nanomdm", ServerPath: "/mdm", CheckInPath: "/checkin", CAConfigMapRef: mdmv1alpha1.KeyReference{Name: "nanomdm-ca", Key: "ca.pem"},
	}}
	spec.Windows = windows().Spec.Windows
	spec.Windows.ManagementHost = "devices.example.com:8443"
	spec.Windows.Identity.IssuerRef = &cmmeta.IssuerReference{Kind: "Issuer", Name: "corporate"}
	spec.Windows.Authentication = mdmv1alpha1.WindowsAuthentication{Require: mdmv1alpha1.WindowsProofCertificate, TrustedProxies: []string{"10.0.0.0/8"}}
	signIn := mdmv1alpha1.SignIn{
		IssuerURL: "https://login.example.com:9000/realms/staff", ClientID: "kubemdm",
		ClientSecretRef: mdmv1alpha1.KeyReference{Name: "oidc", Key: "secret"}, CASecretRef: &mdmv1alpha1.KeyReference{Name: "oidc", Key: "ca"},
		Domains: []string{"example.com"},
	}
	spec.Windows.SignIn = &mdmv1alpha1.WindowsSignIn{SignIn: signIn, EnrollmentTokenRef: mdmv1alpha1.LocalReference{Name: "staff"}}
	signIn.IssuerURL = "https://login.example.com:9001/realms/staff"
	spec.Apple.SignIn = &signIn
	spec.Exposure = mdmv1alpha1.Exposure{
		Service: mdmv1alpha1.ServiceExposure{Type: mdmv1alpha1.ServiceLoadBalancer, Port: 8443, NodePort: 30443, Annotations: map[string]string{"lb": "nlb"}},
		Ingress: &mdmv1alpha1.IngressExposure{ClassName: "nginx", Annotations: map[string]string{"nginx.ingress.kubernetes.io/proxy-body-size": "32m"}},
		Gateway: &mdmv1alpha1.GatewayExposure{ParentRefs: []mdmv1alpha1.GatewayReference{{Name: "edge", Namespace: "infra", SectionName: "tls"}}},
	}
	spec.EnrollmentPage = mdmv1alpha1.EnrollmentPage{
		Title: "Example", Color: "#0f766e", SupportURL: "mailto:it@example.com",
		LogoConfigMapRef: &mdmv1alpha1.KeyReference{Name: "brand", Key: "logo.svg"}, SignInTokenRef: &mdmv1alpha1.LocalReference{Name: "staff"},
	}
	spec.Resources = corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}}
	spec.NodeSelector = map[string]string{"disk": "ssd"}
	spec.Tolerations = []corev1.Toleration{{Key: "mdm", Operator: corev1.TolerationOpExists}}
	s.AWSRole = "arn:aws:iam::123456789012:role/kubemdm-push"
	return s
}

// replicated is a server on PostgreSQL.
func replicated() owned.Server {
	s := minimal()
	s.Spec.Replicas = ptr.To[int32](3)
	s.Spec.Storage.Type = mdmv1alpha1.StoragePostgreSQL
	s.Spec.Storage.PostgreSQL = &mdmv1alpha1.PostgreSQLStorage{
		SecretRef: mdmv1alpha1.LocalReference{Name: "mdm-db-app"}, MaxConnections: 30,
		CARef: &mdmv1alpha1.CAReference{Kind: mdmv1alpha1.CAReferenceSecret, Name: "mdm-db-ca", Key: "ca.crt"},
	}
	s.DatabasePorts = []int{5432}
	return s
}

// provided is a server on a database whose CA is in a ConfigMap.
func provided() owned.Server {
	s := replicated()
	s.Spec.Storage.PostgreSQL.CARef = &mdmv1alpha1.CAReference{Kind: mdmv1alpha1.CAReferenceConfigMap, Name: "cloud", Key: "bundle.pem"}
	return s
}

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, cmapi.AddToScheme, gatewayv1.Install, mdmv1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestGolden shows every object that is built; what must not be seen in it is stated in the tests below.
func TestGolden(t *testing.T) {
	secretTLS := minimal()
	secretTLS.Spec.TLS = mdmv1alpha1.ServingTLS{Type: mdmv1alpha1.TLSSecret, SecretRef: &mdmv1alpha1.LocalReference{Name: "public"}}
	address := minimal()
	address.Spec.Host = "10.243.0.1:8443"
	for name, objects := range map[string][]client.Object{
		"minimal": append([]client.Object{
			minimal().ConfigMap(), minimal().StatefulSet(), minimal().Service(), minimal().AdminService(), minimal().NetworkPolicy(),
			minimal().SelfSigned(), minimal().AppleCA().Generation(1),
		}, append(minimal().AdminPKI(), minimal().ServingPKI()...)...),
		"full": append([]client.Object{
			full().ConfigMap(), full().StatefulSet(), full().Service(), full().NetworkPolicy(), full().PodDisruptionBudget(), full().Ingress(),
			full().TLSRoute(), full().PageConfigMap([]byte("<svg/>")), full().AppleCA().Generation(2), full().WindowsCA().Generation(2),
		}, full().ServingPKI()...),
		"windows": {windows().ConfigMap(), windows().StatefulSet(), windows().NetworkPolicy(), windows().WindowsCA().Generation(1)},
		"replicated": {
			replicated().ConfigMap(), replicated().Deployment(), replicated().NetworkPolicy(), replicated().PodDisruptionBudget(),
		},
		"provided":     {provided().Deployment()},
		"given-secret": append(secretTLS.ServingPKI(), secretTLS.StatefulSet()),
		"address":      address.ServingPKI(),
	} {
		t.Run(name, func(t *testing.T) { compare(t, name, objects) })
	}
}

func compare(t *testing.T, name string, objects []client.Object) {
	t.Helper()
	var got bytes.Buffer
	for _, obj := range objects {
		gvk, err := apiutil.GVKForObject(obj, scheme(t))
		if err != nil {
			t.Fatal(err)
		}
		obj.GetObjectKind().SetGroupVersionKind(gvk)
		b, err := yaml.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString("---\n")
		got.Write(b)
	}
	golden.Check(t, filepath.Join("testdata", name+".yaml"), got.Bytes())
}

func TestConfigIsWhatTheServerReads(t *testing.T) {
	for _, s := range []owned.Server{minimal(), full(), windows(), replicated()} {
		c, err := serverconfig.Parse([]byte(s.ConfigMap().Data["config.json"]))
		if err != nil {
			t.Fatal(err)
		}
		if c.Host != s.Spec.Host || c.AdminClient != owned.AdminClientName || c.TrustAnchor != (s.Spec.TLS.Type == mdmv1alpha1.TLSSelfSigned) {
			t.Errorf("%+v", c)
		}
	}
}

// TestPodIsRestricted holds the pod to the "restricted" pod security standard and to having no Kubernetes credentials.
func TestPodIsRestricted(t *testing.T) {
	for name, pod := range map[string]corev1.PodSpec{
		"SQLite": minimal().StatefulSet().Spec.Template.Spec, "PostgreSQL": replicated().Deployment().Spec.Template.Spec,
	} {
		t.Run(name, func(t *testing.T) { checkRestricted(t, pod) })
	}
}

func checkRestricted(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	if *pod.AutomountServiceAccountToken || pod.ServiceAccountName != "" {
		t.Error("the pod has a service account token")
	}
	for _, v := range pod.Volumes {
		if v.HostPath != nil || v.Projected != nil {
			t.Errorf("volume %s", v.Name)
		}
	}
	c := pod.Containers[0].SecurityContext
	if !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser == 0 || *c.AllowPrivilegeEscalation || !*c.ReadOnlyRootFilesystem ||
		c.Capabilities.Drop[0] != "ALL" || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod %+v, container %+v", pod.SecurityContext, c)
	}
}

// TestCredentialsRestartNothing: what rotates must not stand in the pod template.
func TestPodIsReplacedForItsConfigurationOnly(t *testing.T) {
	template := func(change func(*owned.Server)) string {
		s := minimal()
		change(&s)
		b, err := yaml.Marshal(s.StatefulSet().Spec.Template)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	base := template(func(*owned.Server) {})
	if template(func(s *owned.Server) { s.Spec.Apple.APNSCertificateRef = &mdmv1alpha1.LocalReference{Name: "push"} }) != base {
		t.Error("another push certificate replaces the pod")
	}
	if template(func(s *owned.Server) { s.Status.SealingKeys = []string{"key-2"} }) != base {
		t.Error("another sealing key replaces the pod")
	}
	if template(func(s *owned.Server) { s.Spec.Apple.Identity.IssuerRef = &cmmeta.IssuerReference{Name: "another"} }) != base {
		t.Error("another issuer of the next generation replaces the pod")
	}
	if template(func(s *owned.Server) { s.Spec.Organization = "Another" }) == base {
		t.Error("another configuration does not replace the pod, which reads it only at its start")
	}
}

// Each pod of a rollout, of which there is one more than replicas, has its share of the connections, and time to leave before it is killed.
func TestReplicasShareConnectionsAndLeave(t *testing.T) {
	for _, c := range []struct {
		replicas, connections int32
		want                  int
	}{{1, 20, 10}, {2, 20, 6}, {4, 20, 4}, {3, 1000, 250}} {
		s := replicated()
		s.Spec.Replicas, s.Spec.Storage.PostgreSQL.MaxConnections = &c.replicas, c.connections
		config, err := serverconfig.Parse([]byte(s.ConfigMap().Data["config.json"]))
		if err != nil {
			t.Fatal(err)
		}
		if got := config.Store.Postgres.MaxConnections; got != c.want {
			t.Errorf("%d connections of %d for each of %d replicas, want %d", got, c.connections, c.replicas, c.want)
		}
		const drain = 20 * time.Second // drainTimeout of mdmserver
		grace := time.Duration(*s.Deployment().Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
		if leave := time.Duration(config.LeaveTime); leave < 5*time.Second || leave+drain >= grace {
			t.Errorf("it leaves within %v and answers for %v more, and is killed after %v", leave, drain, grace)
		}
	}
}
