package servers_test

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// The people of each platform sign in by a client of their own, whose secret the server gets apart.
func TestAppleSignInNeedsItsSecret(t *testing.T) {
	s := newServer()
	issuer := newIssuer()
	issuer.ClientSecretRef.Name = "oidc-apple"
	s.Spec.Apple.SignIn, s.Spec.Windows = &issuer, &mdmv1alpha1.WindowsServer{SignIn: newSignIn()}
	b := newBench(t)
	b.secret("oidc", map[string][]byte{"secret": []byte("of PCs")})
	b.create(s)
	for range 4 {
		b.reconcileServer()
		b.cluster.Issue()
	}
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/SecretNotFound", "Stalled=True/SecretNotFound")
	c := meta.FindStatusCondition(b.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerCredentialsReady)
	if !strings.Contains(c.Message, "the sign-in of Apple devices needs the Secret oidc-apple") {
		t.Errorf("message %q", c.Message)
	}
	b.secret("oidc-apple", map[string][]byte{"secret": []byte("of Macs")})
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
	for name, want := range map[string]string{"mdm-sign-in": "of PCs", "mdm-sign-in-apple": "of Macs"} {
		if got := b.keep(name).Data["client-secret"]; string(got) != want {
			t.Errorf("%s holds %q", name, got)
		}
	}
	b.deploy()
	set := &appsv1.StatefulSet{}
	b.get(serverName, set)
	mounts := set.Spec.Template.Spec.Containers[0].VolumeMounts
	if !slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool { return m.Name == "sign-in-apple" }) {
		t.Errorf("the pod does not mount the secret: %+v", mounts)
	}
	b.remove("oidc-apple", &corev1.Secret{})
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/SecretNotFound")
	if meta.IsStatusConditionTrue(b.mdmServer().Status.Conditions, mdmv1alpha1.ConditionStalled) {
		t.Error("a server that has a copy does not go on")
	}
}
