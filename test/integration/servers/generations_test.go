package servers_test

import (
	"bytes"
	"encoding/json"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// family is one of the CAs for devices, and a server that has no other.
type family struct {
	name               string
	secret, generation string // the names of its Secret and, with a number behind it, of a generation
	annotation         string
	server             func() *mdmv1alpha1.MDMServer
}

var families = []family{
	{"Apple", "mdm-identity", "mdm-device-identity-ca-", mdmv1alpha1.AnnotationRotateIdentityCA, newServer},
	{"Windows", "mdm-wstep", "mdm-wstep-ca-", mdmv1alpha1.AnnotationRotateWSTEPCA, newWindowsServer},
}

// eachFamily runs a test with a running server of each family.
func eachFamily(t *testing.T, test func(b *bench, f family)) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) { test(runningAs(t, f.server()), f) })
	}
}

func TestCAComesBackFromItsCopy(t *testing.T) {
	eachFamily(t, func(b *bench, f family) {
		before := b.keep(f.secret)
		b.remove(f.secret, &corev1.Secret{})
		b.reconcileServer()
		after := b.keep(f.secret)
		if !bytes.Equal(before.Data["1.crt"], after.Data["1.crt"]) || !bytes.Equal(before.Data["1.key"], after.Data["1.key"]) {
			b.Error("the CA is another one")
		}
		b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
	})
}

func TestLostCAStalls(t *testing.T) {
	eachFamily(t, func(b *bench, f family) {
		before := b.keep(f.secret)
		b.remove(f.secret, &corev1.Secret{})
		b.remove(f.generation+"1", &corev1.Secret{})
		b.cluster.Issue() // cert-manager makes another certificate at once
		b.reconcileServer()
		b.expect(b.mdmServer(), "CredentialsReady=False/KeyLost", "Stalled=True/KeyLost")
		if b.exists(f.secret, &corev1.Secret{}) {
			b.Error("the CA was made anew")
		}
		b.create(before)
		b.reconcileServer()
		b.expect(b.mdmServer(), "CredentialsReady=True/Ready", "Ready=True/Connected")
	})
}

func TestReissuedCAChangesNothing(t *testing.T) {
	eachFamily(t, func(b *bench, f family) {
		before := b.keep(f.secret)
		b.remove(f.generation+"1", &corev1.Secret{})
		b.cluster.Issue()
		b.reconcileServer()
		if after := b.keep(f.secret); !bytes.Equal(before.Data["1.crt"], after.Data["1.crt"]) {
			b.Error("a certificate that cert-manager renewed in place cuts devices off")
		}
	})
}

func (b *bench) roles(f family) string {
	b.Helper()
	s := b.keep(f.secret)
	var roles map[string]string
	b.must(json.Unmarshal(s.Data["roles.json"], &roles))
	text, _ := json.Marshal(roles)
	return string(text)
}

// TestCARotates walks one rotation: requested, trusted, issuing, gone. The server is never restarted.
func TestCARotates(t *testing.T) {
	eachFamily(t, func(b *bench, f family) {
		edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
			s.Annotations = map[string]string{f.annotation: "2026"}
		})
		b.reconcileServer()
		b.expect(b.mdmServer(), "CredentialsReady=True/Rotating")
		if got := b.roles(f); got != `{"1":"Active"}` {
			b.Fatalf("before it is issued: %s", got)
		}
		b.cluster.Issue()
		b.reconcileServer()
		b.reconcileServer()
		if got := b.roles(f); got != `{"1":"Active","2":"Next"}` {
			b.Fatalf("before the server trusts it: %s", got)
		}
		b.pod.Mount()
		b.until("the second generation issues", func() bool { return b.roles(f) == `{"1":"Retired","2":"Active"}` })
		b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
		b.reconcileServer()
		if got := b.roles(f); got != `{"1":"Retired","2":"Active"}` {
			b.Fatalf("the request was handled twice: %s", got)
		}
		b.clock.SetTime(b.clock.Now().AddDate(0, 0, 364))
		b.reconcileServer()
		if got := b.roles(f); got != `{"1":"Retired","2":"Active"}` {
			b.Fatalf("while its certificates are valid: %s", got)
		}
		b.clock.SetTime(b.clock.Now().AddDate(0, 0, 3))
		b.reconcileServer()
		if got := b.roles(f); got != `{"2":"Active"}` {
			b.Fatalf("after its last certificate: %s", got)
		}
		if b.exists(f.generation+"1", &cmapi.Certificate{}) {
			b.Error("cert-manager would renew the first generation")
		}
	})
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
	eachFamily(t, func(b *bench, f family) {
		b.volume()
		edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
			s.Annotations = map[string]string{f.annotation: "2026"}
		})
		b.reconcileServer()
		b.cluster.Issue()
		b.reconcileServer()
		before := b.keep(f.secret)
		again := func() {
			b.remove(serverName, &mdmv1alpha1.MDMServer{})
			b.reconcileServer()
			b.collectGarbage()
			b.create(f.server())
			b.reconcileServer()
		}
		again()
		b.expect(b.mdmServer(), "CredentialsReady=True/Rotating")
		if after := b.keep(f.secret); !bytes.Equal(before.Data["1.key"], after.Data["1.key"]) || b.roles(f) != `{"1":"Active","2":"Next"}` {
			b.Errorf("the CA is another one: %s", b.roles(f))
		}
		b.remove(f.secret, &corev1.Secret{})
		again()
		if after := b.keep(f.secret); !bytes.Equal(before.Data["1.key"], after.Data["1.key"]) || b.roles(f) != `{"1":"Retired","2":"Active"}` {
			b.Errorf("the CA is another one: %s", b.roles(f))
		}
		b.remove(f.secret, &corev1.Secret{})
		b.remove(f.generation+"1", &corev1.Secret{})
		b.remove(f.generation+"2", &corev1.Secret{})
		again()
		b.expect(b.mdmServer(), "CredentialsReady=False/KeyLost", "Stalled=True/KeyLost")
	})
}
