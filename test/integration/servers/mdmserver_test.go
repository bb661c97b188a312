package servers_test

import (
	"slices"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/standin"
)

const host = "mdm.example.com"

func newServer() *mdmv1alpha1.MDMServer {
	return &mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Name: serverName}, Spec: mdmv1alpha1.MDMServerSpec{
		Host: host, Organization: "Example Ltd", Apple: &mdmv1alpha1.AppleServer{},
	}}
}

// running creates an MDMServer and brings it up to its real server.
func running(t *testing.T) *bench {
	t.Helper()
	return runningAs(t, newServer())
}

func runningAs(t *testing.T, s *mdmv1alpha1.MDMServer) *bench {
	t.Helper()
	b := newBench(t)
	b.run(s)
	return b
}

// run creates an MDMServer and brings it up to its real server.
func (b *bench) run(s *mdmv1alpha1.MDMServer) {
	b.Helper()
	b.create(s)
	b.deploy()
	b.pod.Start()
	b.cluster.Available(serverName)
	b.until("the server is Ready", func() bool {
		return meta.IsStatusConditionTrue(b.mdmServer().Status.Conditions, mdmv1alpha1.ConditionReady)
	})
}

// deploy reconciles and issues until the StatefulSet is there.
func (b *bench) deploy() {
	b.Helper()
	for range 4 {
		b.reconcileServer()
		b.cluster.Issue()
	}
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready", "CertificatesReady=True/Ready", "Deployed=False/RollingOut")
}

func TestServerComesUp(t *testing.T) {
	b := newBench(t)
	b.create(newServer())
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/Issuing", "Ready=False/Issuing", "Reconciling=True/Issuing", "Deployed=Unknown/Pending")
	b.deploy()
	b.pod.Start()
	b.cluster.Available(serverName)
	b.until("the server is Ready", func() bool {
		return meta.IsStatusConditionTrue(b.mdmServer().Status.Conditions, mdmv1alpha1.ConditionReady)
	})
	s := b.mdmServer()
	b.expect(s, "Deployed=True/Ready", "Reachable=True/Connected", "PubliclyTrusted=False/SelfSigned", "PushReady=False/NoAPNSCertificate")
	if s.Status.URL != "https://"+host || s.Status.Version != standin.Version || *s.Status.Enrolled != 0 || *s.Status.Replicas != 1 || s.Status.Selector == "" {
		t.Errorf("status %+v", s.Status)
	}
	var names []string
	for _, c := range s.Status.Certificates {
		names = append(names, c.Name)
	}
	if !slices.Equal(names, []string{"Admin", "IdentityCA-1", "Serving"}) || !slices.Equal(s.Status.SealingKeys, []string{"key-1"}) {
		t.Errorf("certificates %q, sealing keys %q", names, s.Status.SealingKeys)
	}
	for _, name := range []string{"mdm-sealing", "mdm-identity"} {
		secret := &corev1.Secret{}
		if b.get(name, secret); len(secret.OwnerReferences) != 0 {
			t.Errorf("the Secret %s would go with the MDMServer", name)
		}
	}
	set := &appsv1.StatefulSet{}
	if b.get(serverName, set); !metav1.IsControlledBy(set, s) {
		t.Error("the StatefulSet would stay behind the MDMServer")
	}
}

func TestSettledServerIsNotWritten(t *testing.T) {
	b := running(t)
	versions := func() []string {
		var v []string
		for name, obj := range map[string]client.Object{
			"mdm": &mdmv1alpha1.MDMServer{}, "mdm-identity": &corev1.Secret{}, "mdm-sealing": &corev1.Secret{}, "mdm-config": &corev1.ConfigMap{},
			"mdm-admin": &cmapi.Certificate{},
		} {
			b.get(name, obj)
			v = append(v, name+" "+obj.GetResourceVersion())
		}
		for _, obj := range []client.Object{&appsv1.StatefulSet{}, &corev1.Service{}, &networkingv1.NetworkPolicy{}} {
			b.get(serverName, obj)
			v = append(v, obj.GetResourceVersion())
		}
		slices.Sort(v)
		return v
	}
	before := versions()
	for range 3 {
		b.clock.SetTime(b.clock.Now().Add(time.Minute))
		b.reconcileServer()
	}
	if after := versions(); !slices.Equal(before, after) {
		t.Errorf("written without need:\n%q\n%q", before, after)
	}
	b.told()
	b.reconcileServer()
	if told := b.told(); len(told) != 0 {
		t.Errorf("events without need: %q", told)
	}
}

func TestOwnedObjectsAreRepaired(t *testing.T) {
	b := running(t)
	edit(b, serverName, &appsv1.StatefulSet{}, func(s *appsv1.StatefulSet) {
		s.Spec.Template.Spec.AutomountServiceAccountToken = ptr.To(true)
		s.Spec.Template.Spec.Containers[0].Image = "evil:latest"
		s.Spec.Template.Spec.Containers = append(s.Spec.Template.Spec.Containers, corev1.Container{Name: "sidecar", Image: "evil:latest"})
	})
	edit(b, serverName, &networkingv1.NetworkPolicy{}, func(p *networkingv1.NetworkPolicy) { p.Spec.Ingress = nil })
	b.remove("mdm-admin", &corev1.Service{})
	b.remove("mdm-config", &corev1.ConfigMap{})
	b.reconcileServer()
	set := &appsv1.StatefulSet{}
	b.get(serverName, set)
	pod := set.Spec.Template.Spec
	if *pod.AutomountServiceAccountToken || pod.Containers[0].Image != "kubemdm/mdmserver:test" {
		t.Errorf("the StatefulSet is not repaired: %+v", pod)
	}
	policy := &networkingv1.NetworkPolicy{}
	if b.get(serverName, policy); len(policy.Spec.Ingress) != 3 {
		t.Error("the NetworkPolicy is not repaired")
	}
	if !b.exists("mdm-admin", &corev1.Service{}) || !b.exists("mdm-config", &corev1.ConfigMap{}) {
		t.Error("deleted objects are not made again")
	}
}

func TestObjectsOfOthersAreLeftAlone(t *testing.T) {
	b := newBench(t)
	b.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "mdm-config"}, Data: map[string]string{"theirs": "yes"}})
	b.create(newServer())
	for range 4 {
		_, _ = b.servers.Reconcile(b.Context(), b.request(serverName))
		b.cluster.Issue()
	}
	theirs := &corev1.ConfigMap{}
	if b.get("mdm-config", theirs); len(theirs.Data) != 1 || len(theirs.OwnerReferences) != 0 {
		t.Errorf("it was taken over: %+v", theirs)
	}
	b.expect(b.mdmServer(), "Deployed=Unknown/Error", "Ready=Unknown/Error", "Reconciling=True/Error")
}

func TestExposureComesAndGoes(t *testing.T) {
	b := running(t)
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
		s.Spec.Exposure.Ingress = &mdmv1alpha1.IngressExposure{}
		s.Spec.Exposure.Gateway = &mdmv1alpha1.GatewayExposure{ParentRefs: []mdmv1alpha1.GatewayReference{{Name: "edge"}}}
		s.Spec.Exposure.Service.Annotations = map[string]string{"lb": "nlb"}
	})
	b.reconcileServer()
	if !b.exists(serverName, &networkingv1.Ingress{}) || !b.exists(serverName, &gatewayv1.TLSRoute{}) {
		t.Fatal("there is no Ingress or TLSRoute")
	}
	b.create(&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: serverName}}) // somebody else's
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
		s.Spec.Exposure = mdmv1alpha1.Exposure{}
	})
	b.reconcileServer()
	if b.exists(serverName, &networkingv1.Ingress{}) || b.exists(serverName, &gatewayv1.TLSRoute{}) {
		t.Error("the Ingress or TLSRoute stays")
	}
	if !b.exists(serverName, &policyv1.PodDisruptionBudget{}) {
		t.Error("an object of somebody else was deleted")
	}
	service := &corev1.Service{}
	if b.get(serverName, service); service.Annotations["lb"] != "" {
		t.Error("an annotation that is no longer wanted stays")
	}
}

func TestLossAndStopAreSeen(t *testing.T) {
	b := running(t)
	b.pod.Stop()
	b.until("the loss is seen", func() bool {
		return meta.IsStatusConditionFalse(b.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerReachable)
	})
	b.expect(b.mdmServer(), "Reachable=False/ServerUnreachable", "Ready=False/ServerUnreachable")
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) { s.Spec.Replicas = ptr.To[int32](0) })
	b.reconcileServer()
	b.cluster.Available(serverName)
	b.reconcileServer()
	b.expect(b.mdmServer(), "Deployed=True/Stopped", "Reachable=False/Stopped")
}

// TestRestartedManagerRaisesNoAlarm: until it has tried to connect, what the last manager said stands.
func TestRestartedManagerRaisesNoAlarm(t *testing.T) {
	b := running(t)
	b.servers.Links.Disconnect(b.key(serverName))
	b.told()
	b.reconcileServer()
	b.expect(b.mdmServer(), "Reachable=True/Connected", "Ready=True/Connected")
	if told := b.told(); len(told) != 0 {
		t.Errorf("events %q", told)
	}
}

func TestBrokenRolloutBecomesUnavailable(t *testing.T) {
	b := newBench(t)
	b.create(newServer())
	b.deploy()
	b.clock.SetTime(b.clock.Now().Add(time.Hour))
	b.reconcileServer()
	b.expect(b.mdmServer(), "Deployed=False/Unavailable")
}

func TestDeletedServerLosesItsConnection(t *testing.T) {
	b := running(t)
	b.remove(serverName, &mdmv1alpha1.MDMServer{})
	b.reconcileServer()
	if _, err := b.servers.Links.Server(b.key(serverName)); err == nil {
		t.Error("the connection stays")
	}
}

func TestServingCertificates(t *testing.T) {
	public := pki.NewCA(t, "public")
	for name, c := range map[string]struct {
		data map[string][]byte
		want []string
	}{
		"missing":  {nil, []string{"CertificatesReady=False/SecretNotFound", "Stalled=True/SecretNotFound"}},
		"broken":   {map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("y")}, []string{"CertificatesReady=False/CertificateInvalid"}},
		"private":  {pairData(t, pki.NewCA(t, "private"), pki.Leaf{CN: host, Names: []string{host}}), []string{"CertificatesReady=True/Ready", "PubliclyTrusted=False/PrivateCA"}},
		"public":   {pairData(t, public, pki.Leaf{CN: host, Names: []string{host}}), []string{"CertificatesReady=True/Ready", "PubliclyTrusted=True/PublicCA"}},
		"mismatch": {pairData(t, public, pki.Leaf{CN: "other", Names: []string{"other.example.com"}}), []string{"CertificatesReady=False/HostMismatch", "Deployed=False/RollingOut"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.servers.Roots = public.Pool()
			s := newServer()
			s.Spec.TLS = mdmv1alpha1.ServingTLS{Type: mdmv1alpha1.TLSSecret, SecretRef: &mdmv1alpha1.LocalReference{Name: "web"}}
			b.create(s)
			if c.data != nil {
				b.secret("web", c.data)
			}
			for range 3 {
				b.reconcileServer()
				b.cluster.Issue()
			}
			b.reconcileServer()
			b.expect(b.mdmServer(), c.want...)
			if c.want[0] == "CertificatesReady=True/Ready" {
				b.clock.SetTime(b.clock.Now().AddDate(20, 0, 0))
				b.reconcileServer()
				b.expect(b.mdmServer(), "CertificatesReady=False/CertificateExpired")
			}
		})
	}
}
