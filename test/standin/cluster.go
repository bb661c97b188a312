package standin

import (
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/test/pki"
)

// Cluster plays in one namespace. A test calls it where the part that it plays would act. It is not safe for concurrent use.
type Cluster struct {
	testing.TB
	client    client.Client
	namespace string
	cas       map[string]*pki.CA // by the name of their Secret
}

// New returns a cluster without issued certificates.
func New(t testing.TB, c client.Client, namespace string) *Cluster {
	return &Cluster{TB: t, client: c, namespace: namespace, cas: map[string]*pki.CA{}}
}

// Issue is cert-manager: it fills the Secret of every Certificate that has none and makes it Ready, unless the CA behind it is still to come.
func (c *Cluster) Issue() {
	c.Helper()
	certificates := &cmapi.CertificateList{}
	c.must(c.client.List(c.Context(), certificates, client.InNamespace(c.namespace)))
	for _, isCA := range []bool{true, false} {
		for _, certificate := range certificates.Items {
			if certificate.Spec.IsCA == isCA && !c.get(certificate.Spec.SecretName, &corev1.Secret{}) {
				c.issue(&certificate)
			}
		}
	}
}

func (c *Cluster) issue(certificate *cmapi.Certificate) {
	c.Helper()
	spec := certificate.Spec
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: spec.SecretName}}
	if spec.IsCA {
		ca := pki.NewCA(c, spec.CommonName)
		if spec.PrivateKey.Algorithm == cmapi.RSAKeyAlgorithm {
			ca = pki.NewIdentityCA(c, spec.CommonName)
		}
		c.cas[spec.SecretName] = ca
		secret.Data = map[string][]byte{"tls.crt": ca.CertPEM(), "tls.key": ca.KeyPEM(c), "ca.crt": ca.CertPEM()}
	} else {
		ca := c.cas[spec.IssuerRef.Name] // a CA's Certificate, Secret and Issuer have one name
		if ca == nil {
			return
		}
		cert, key := pki.PEM(c, ca.Issue(c, pki.Leaf{CN: spec.CommonName, Names: spec.DNSNames}))
		secret.Data = map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": ca.CertPEM()}
	}
	c.must(c.client.Create(c.Context(), secret))
	now := metav1.Now()
	certificate.Status.Conditions = []cmapi.CertificateCondition{{
		Type: cmapi.CertificateConditionReady, Status: cmmeta.ConditionTrue, Reason: "Ready", LastTransitionTime: &now,
	}}
	c.must(c.client.Status().Update(c.Context(), certificate))
}

// Available is the controller of the server's workload: all pods are there.
func (c *Cluster) Available(name string) {
	c.Helper()
	switch w := c.workload(name).(type) {
	case *appsv1.StatefulSet:
		n := *w.Spec.Replicas
		w.Status = appsv1.StatefulSetStatus{ObservedGeneration: w.Generation, Replicas: n, ReadyReplicas: n, AvailableReplicas: n, UpdatedReplicas: n}
		c.must(c.client.Status().Update(c.Context(), w))
	case *appsv1.Deployment:
		n := *w.Spec.Replicas
		w.Status = appsv1.DeploymentStatus{ObservedGeneration: w.Generation, Replicas: n, ReadyReplicas: n, AvailableReplicas: n, UpdatedReplicas: n}
		c.must(c.client.Status().Update(c.Context(), w))
	}
}

// template is that of the pods of a server.
func (c *Cluster) template(name string) corev1.PodSpec {
	c.Helper()
	if set, isSet := c.workload(name).(*appsv1.StatefulSet); isSet {
		return set.Spec.Template.Spec
	}
	return c.workload(name).(*appsv1.Deployment).Spec.Template.Spec
}

// workload is what runs the pods of a server: a StatefulSet, or a Deployment.
func (c *Cluster) workload(name string) client.Object {
	c.Helper()
	for _, w := range []client.Object{&appsv1.StatefulSet{}, &appsv1.Deployment{}} {
		if c.get(name, w) {
			return w
		}
	}
	c.Fatalf("there is no StatefulSet and no Deployment %s", name)
	return nil
}

// get reads an object and says whether there is one.
func (c *Cluster) get(name string, obj client.Object) bool {
	c.Helper()
	err := c.client.Get(c.Context(), client.ObjectKey{Namespace: c.namespace, Name: name}, obj)
	c.must(client.IgnoreNotFound(err))
	return err == nil
}

func (c *Cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}
