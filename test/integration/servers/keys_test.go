package servers_test

import (
	"bytes"
	"encoding/json"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// keep returns a Secret as a person's backup would hold it.
func (b *bench) keep(name string) *corev1.Secret {
	b.Helper()
	s := &corev1.Secret{}
	b.get(name, s)
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: s.Labels, Annotations: s.Annotations}, Data: s.Data}
}

func TestLostSealingKeyStallsUntilItIsRestored(t *testing.T) {
	for name, lose := range map[string]func(*bench){
		"the Secret": func(b *bench) { b.remove("mdm-sealing", &corev1.Secret{}) },
		"the key": func(b *bench) {
			edit(b, "mdm-sealing", &corev1.Secret{}, func(s *corev1.Secret) { delete(s.Data, "key-1") })
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := running(t)
			backup := b.keep("mdm-sealing")
			lose(b)
			for range 2 {
				b.reconcileServer()
			}
			b.expect(b.mdmServer(), "CredentialsReady=False/KeyLost", "Stalled=True/KeyLost", "Ready=False/KeyLost")
			s := &corev1.Secret{}
			if b.exists("mdm-sealing", s) {
				if len(s.Data["key-1"]) != 0 {
					t.Fatal("the key was made anew")
				}
				b.remove("mdm-sealing", s)
			}
			b.create(backup)
			b.reconcileServer()
			b.expect(b.mdmServer(), "CredentialsReady=True/Ready", "Ready=True/Connected")
		})
	}
}

func TestAnotherSealingKeyIsKeptInMind(t *testing.T) {
	b := running(t)
	edit(b, "mdm-sealing", &corev1.Secret{}, func(s *corev1.Secret) {
		s.Data["key-2"], s.Data["primary"] = bytes.Repeat([]byte("k"), 32), []byte("key-2")
	})
	b.reconcileServer()
	if got := b.mdmServer().Status.SealingKeys; len(got) != 2 {
		t.Errorf("sealing keys %q", got)
	}
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
}

func TestIdentityCAComesBackFromItsCopy(t *testing.T) {
	b := running(t)
	before := b.keep("mdm-identity")
	b.remove("mdm-identity", &corev1.Secret{})
	b.reconcileServer()
	after := b.keep("mdm-identity")
	if !bytes.Equal(before.Data["1.crt"], after.Data["1.crt"]) || !bytes.Equal(before.Data["1.key"], after.Data["1.key"]) {
		t.Error("the CA is another one")
	}
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
}

func TestLostIdentityCAStalls(t *testing.T) {
	b := running(t)
	before := b.keep("mdm-identity")
	b.remove("mdm-identity", &corev1.Secret{})
	b.remove("mdm-device-identity-ca-1", &corev1.Secret{})
	b.cluster.Issue() // cert-manager makes another certificate at once
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/KeyLost", "Stalled=True/KeyLost")
	if b.exists("mdm-identity", &corev1.Secret{}) {
		t.Error("the CA was made anew")
	}
	b.create(before)
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready", "Ready=True/Connected")
}

func TestReissuedIdentityCAChangesNothing(t *testing.T) {
	b := running(t)
	before := b.keep("mdm-identity")
	b.remove("mdm-device-identity-ca-1", &corev1.Secret{})
	b.cluster.Issue()
	b.reconcileServer()
	if after := b.keep("mdm-identity"); !bytes.Equal(before.Data["1.crt"], after.Data["1.crt"]) {
		t.Error("a certificate that cert-manager renewed in place cuts devices off")
	}
}

func (b *bench) roles() string {
	b.Helper()
	s := b.keep("mdm-identity")
	var roles map[string]string
	b.must(json.Unmarshal(s.Data["roles.json"], &roles))
	text, _ := json.Marshal(roles)
	return string(text)
}

// TestIdentityCARotates walks one rotation: requested, trusted, issuing, gone. The server is never restarted.
func TestIdentityCARotates(t *testing.T) {
	b := running(t)
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
		s.Annotations = map[string]string{mdmv1alpha1.AnnotationRotateIdentityCA: "2026"}
	})
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=True/Rotating")
	if got := b.roles(); got != `{"1":"Active"}` {
		t.Fatalf("before it is issued: %s", got)
	}
	b.cluster.Issue()
	b.reconcileServer()
	b.reconcileServer()
	if got := b.roles(); got != `{"1":"Active","2":"Next"}` {
		t.Fatalf("before the server trusts it: %s", got)
	}
	b.pod.Mount()
	b.until("the second generation issues", func() bool { return b.roles() == `{"1":"Retired","2":"Active"}` })
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
	b.reconcileServer()
	if got := b.roles(); got != `{"1":"Retired","2":"Active"}` {
		t.Fatalf("the request was handled twice: %s", got)
	}
	b.clock.SetTime(b.clock.Now().AddDate(0, 0, 364))
	b.reconcileServer()
	if got := b.roles(); got != `{"1":"Retired","2":"Active"}` {
		t.Fatalf("while its certificates are valid: %s", got)
	}
	b.clock.SetTime(b.clock.Now().AddDate(0, 0, 3))
	b.reconcileServer()
	if got := b.roles(); got != `{"2":"Active"}` {
		t.Fatalf("after its last certificate: %s", got)
	}
	if b.exists("mdm-device-identity-ca-1", &cmapi.Certificate{}) {
		t.Error("cert-manager would renew the first generation")
	}
}

// volume leaves the volume claim that an earlier server of this name had.
func (b *bench) volume() {
	b.Helper()
	b.create(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data-mdm-0"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}})
}

func TestVolumeOfAnEarlierServerNeedsItsSealingKey(t *testing.T) {
	b := newBench(t)
	b.volume()
	b.create(newServer())
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/KeyLost", "Stalled=True/KeyLost")
	if b.exists("mdm-sealing", &corev1.Secret{}) {
		t.Error("another sealing key was made for data that it cannot open")
	}
}

// collectGarbage is Kubernetes' garbage collector after the MDMServer is gone.
func (b *bench) collectGarbage() {
	b.Helper()
	for _, obj := range []client.Object{
		&cmapi.Certificate{}, &cmapi.Issuer{}, &appsv1.StatefulSet{}, &corev1.ConfigMap{}, &networkingv1.NetworkPolicy{}, &corev1.Service{},
	} {
		b.must(api.DeleteAllOf(b.Context(), obj, client.InNamespace(b.ns)))
	}
}

// TestServerTakesUpWhatAnEarlierOneLeft deletes an MDMServer and makes it again: the status is new, the Secrets and the volume are not.
func TestServerTakesUpWhatAnEarlierOneLeft(t *testing.T) {
	b := running(t)
	b.volume()
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
		s.Annotations = map[string]string{mdmv1alpha1.AnnotationRotateIdentityCA: "2026"}
	})
	b.reconcileServer()
	b.cluster.Issue()
	b.reconcileServer()
	before := b.keep("mdm-identity")
	again := func() {
		b.remove(serverName, &mdmv1alpha1.MDMServer{})
		b.reconcileServer()
		b.collectGarbage()
		b.create(newServer())
		b.reconcileServer()
	}
	again()
	b.expect(b.mdmServer(), "CredentialsReady=True/Rotating")
	if after := b.keep("mdm-identity"); !bytes.Equal(before.Data["1.key"], after.Data["1.key"]) || b.roles() != `{"1":"Active","2":"Next"}` {
		t.Errorf("the CA is another one: %s", b.roles())
	}
	b.remove("mdm-identity", &corev1.Secret{})
	again()
	if after := b.keep("mdm-identity"); !bytes.Equal(before.Data["1.key"], after.Data["1.key"]) || b.roles() != `{"1":"Retired","2":"Active"}` {
		t.Errorf("the CA is another one: %s", b.roles())
	}
	b.remove("mdm-identity", &corev1.Secret{})
	b.remove("mdm-device-identity-ca-1", &corev1.Secret{})
	b.remove("mdm-device-identity-ca-2", &corev1.Secret{})
	again()
	b.expect(b.mdmServer(), "CredentialsReady=False/KeyLost", "Stalled=True/KeyLost")
}
