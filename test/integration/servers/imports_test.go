package servers_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/pki"
)

// A server whose import lacks its CA serves all others, and says what is missing.
func TestTheCAOfAnImport(t *testing.T) {
	b := newBench(t)
	s := newServer()
	s.Spec.Apple.Imports = []mdmv1alpha1.AppleImport{{
		Name: "nanomdm", ServerPath: "/mdm", CheckInPath: "/checkin", CAConfigMapRef: mdmv1alpha1.KeyReference{Name: "nanomdm-ca", Key: "ca.pem"},
	}}
	b.create(s)
	for range 5 {
		b.reconcileServer()
		b.cluster.Issue()
	}
	b.expect(b.mdmServer(), "CredentialsReady=False/ConfigMapNotFound")
	if !b.exists(serverName, &appsv1.StatefulSet{}) {
		t.Error("for want of the CA of an import there is no server at all")
	}
	ca := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "nanomdm-ca"}, Data: map[string]string{"other": "x"}}
	b.create(ca)
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/SecretKeyMissing")

	ca.Data["ca.pem"] = "no certificate"
	b.must(api.Update(t.Context(), ca))
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/CertificateInvalid")

	ca.Data["ca.pem"] = string(pki.NewCA(t, "nanomdm").CertPEM())
	b.must(api.Update(t.Context(), ca))
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
	b.pod.Start()
	b.cluster.Available(serverName)
	b.until("the server is Ready", func() bool {
		return meta.IsStatusConditionTrue(b.mdmServer().Status.Conditions, mdmv1alpha1.ConditionReady)
	})
}

// A path that the server has for itself would cut its own devices off.
func TestAnImportWithAPathOfTheServer(t *testing.T) {
	b := newBench(t)
	s := newServer()
	s.Spec.Apple.Imports = []mdmv1alpha1.AppleImport{{
		Name: "nanomdm", ServerPath: "/apple/command", CheckInPath: "/checkin", CAConfigMapRef: mdmv1alpha1.KeyReference{Name: "nanomdm-ca", Key: "ca.pem"},
	}}
	b.create(s)
	b.reconcileServer()
	b.expect(b.mdmServer(), "Ready=False/Invalid", "Stalled=True/Invalid")
}
