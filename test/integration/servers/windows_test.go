package servers_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/pki"
)

const managementHost = "devices.example.com"

// newWindowsServer serves PCs and nothing else.
func newWindowsServer() *mdmv1alpha1.MDMServer {
	s := newServer()
	s.Spec.Apple, s.Spec.Windows = nil, &mdmv1alpha1.WindowsServer{}
	return s
}

func newSignIn() *mdmv1alpha1.WindowsSignIn {
	return &mdmv1alpha1.WindowsSignIn{SignIn: newIssuer(), EnrollmentTokenRef: mdmv1alpha1.LocalReference{Name: "staff"}}
}

func newIssuer() mdmv1alpha1.SignIn {
	return mdmv1alpha1.SignIn{
		IssuerURL: "https://login.example.com", ClientID: "kubemdm", ClientSecretRef: mdmv1alpha1.KeyReference{Name: "oidc", Key: "secret"},
	}
}

func (b *bench) certificates() []string {
	b.Helper()
	var names []string
	for _, c := range b.mdmServer().Status.Certificates {
		names = append(names, c.Name)
	}
	return names
}

func TestServerOfPCsAloneNeedsNothingOfApple(t *testing.T) {
	b := runningAs(t, newWindowsServer())
	s := b.mdmServer()
	b.expect(s, "Ready=True/Connected", "CredentialsReady=True/Ready", "PubliclyTrusted=False/SelfSigned")
	if c := meta.FindStatusCondition(s.Status.Conditions, mdmv1alpha1.MDMServerPushReady); c != nil {
		t.Errorf("it speaks of push: %+v", c)
	}
	if c := meta.FindStatusCondition(s.Status.Conditions, mdmv1alpha1.MDMServerPubliclyTrusted); !strings.Contains(c.Message, "real PCs will refuse it") {
		t.Errorf("PubliclyTrusted says %q", c.Message)
	}
	if got := b.certificates(); !slices.Equal(got, []string{"Admin", "Serving", "WSTEPCA-1"}) {
		t.Errorf("certificates %q", got)
	}
	secret := &corev1.Secret{}
	if b.get("mdm-wstep", secret); len(secret.OwnerReferences) != 0 {
		t.Error("the Secret of the CA would go with the MDMServer")
	}
	if b.exists("mdm-identity", &corev1.Secret{}) {
		t.Error("there is a CA for Apple devices")
	}
}

// A CA that there never was is not lost, though the volume is that of a server that has run.
func TestWindowsIsAddedToAServerThatRuns(t *testing.T) {
	b := running(t)
	b.volume()
	before := b.keep("mdm-identity")
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) { s.Spec.Windows = &mdmv1alpha1.WindowsServer{} })
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/Issuing")
	b.cluster.Issue()
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
	if got := b.certificates(); !slices.Equal(got, []string{"Admin", "IdentityCA-1", "Serving", "WSTEPCA-1"}) {
		t.Errorf("certificates %q", got)
	}
	set := &appsv1.StatefulSet{}
	b.get(serverName, set)
	if mounts := set.Spec.Template.Spec.Containers[0].VolumeMounts; !slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool { return m.Name == "wstep" }) {
		t.Errorf("the pod does not mount the CA: %+v", mounts)
	}
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) { s.Spec.Windows = nil })
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=True/Ready")
	if !b.exists("mdm-wstep", &corev1.Secret{}) || !b.exists("mdm-wstep-ca-1", &cmapi.Certificate{}) {
		t.Error("what enrolled PCs depend on went with spec.windows")
	}
	if after := b.keep("mdm-identity"); string(after.Data["1.key"]) != string(before.Data["1.key"]) {
		t.Error("the CA of Apple devices is another one")
	}
}

// A request for one CA rotates no other.
func TestFamiliesRotateByThemselves(t *testing.T) {
	s := newServer()
	s.Spec.Windows = &mdmv1alpha1.WindowsServer{}
	b := runningAs(t, s)
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
		s.Annotations = map[string]string{mdmv1alpha1.AnnotationRotateWSTEPCA: "2026"}
	})
	b.reconcileServer()
	b.cluster.Issue()
	b.reconcileServer()
	if got := b.roles(families[1]); got != `{"1":"Active","2":"Next"}` {
		t.Fatalf("the WSTEP CA: %s", got)
	}
	b.expect(b.mdmServer(), "CredentialsReady=True/Rotating")
	c := meta.FindStatusCondition(b.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerCredentialsReady)
	if !strings.Contains(c.Message, "mdm-wstep-ca-2") || !strings.Contains(c.Message, "WSTEP CA") || strings.Contains(c.Message, "device-identity") {
		t.Errorf("message %q", c.Message)
	}
	if got := b.roles(families[0]); got != `{"1":"Active"}` {
		t.Errorf("the CA of Apple devices: %s", got)
	}
}

func TestManagementHostIsServedAndExposed(t *testing.T) {
	s := newWindowsServer()
	s.Spec.Windows.ManagementHost = managementHost
	s.Spec.Exposure.Ingress = &mdmv1alpha1.IngressExposure{}
	b := runningAs(t, s)
	certificate := &cmapi.Certificate{}
	if b.get("mdm-serving", certificate); !slices.Equal(certificate.Spec.DNSNames, []string{host, managementHost}) {
		t.Errorf("the certificate is for %q", certificate.Spec.DNSNames)
	}
	ingress := &networkingv1.Ingress{}
	if b.get(serverName, ingress); len(ingress.Spec.Rules) != 2 || ingress.Spec.Rules[1].Host != managementHost {
		t.Errorf("the Ingress is for %+v", ingress.Spec.Rules)
	}
	b.secret("web", pairData(t, pki.NewCA(t, "public"), pki.Leaf{CN: host, Names: []string{host}}))
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
		s.Spec.TLS = mdmv1alpha1.ServingTLS{Type: mdmv1alpha1.TLSSecret, SecretRef: &mdmv1alpha1.LocalReference{Name: "web"}}
	})
	b.reconcileServer()
	b.expect(b.mdmServer(), "CertificatesReady=False/HostMismatch")
}

// A server that never had the secret waits for it; one that runs goes on with what it had.
func TestSignInNeedsItsSecret(t *testing.T) {
	s := newWindowsServer()
	s.Spec.Windows.SignIn = newSignIn()
	s.Spec.Windows.SignIn.CASecretRef = &mdmv1alpha1.KeyReference{Name: "oidc", Key: "ca"}
	b := newBench(t)
	b.create(s)
	for range 4 {
		b.reconcileServer()
		b.cluster.Issue()
	}
	b.reconcileServer()
	b.expect(b.mdmServer(), "CredentialsReady=False/SecretNotFound", "Stalled=True/SecretNotFound", "Ready=False/SecretNotFound")
	if c := meta.FindStatusCondition(b.mdmServer().Status.Conditions, mdmv1alpha1.ConditionStalled); !strings.Contains(c.Message, "create it with the key secret") {
		t.Errorf("message %q", c.Message)
	}
	ca := pki.NewCA(t, "login")
	b.secret("oidc", map[string][]byte{"secret": []byte("s3cret")})
	for _, step := range []struct {
		change map[string][]byte
		want   string
	}{
		{nil, "CredentialsReady=False/SecretKeyMissing"},
		{map[string][]byte{"ca": []byte("no certificate")}, "CredentialsReady=False/CertificateInvalid"},
		{map[string][]byte{"ca": ca.CertPEM()}, "CredentialsReady=True/Ready"},
	} {
		edit(b, "oidc", &corev1.Secret{}, func(s *corev1.Secret) {
			maps.Copy(s.Data, step.change)
		})
		b.reconcileServer()
		b.expect(b.mdmServer(), step.want)
	}
	if mounted := b.keep("mdm-sign-in").Data; string(mounted["client-secret"]) != "s3cret" || string(mounted["ca.crt"]) != string(ca.CertPEM()) {
		t.Errorf("the server gets the files %q", slices.Sorted(maps.Keys(mounted)))
	}
	b.deploy()
	b.pod.Start()
	b.cluster.Available(serverName)
	b.until("the server is Ready", func() bool {
		return meta.IsStatusConditionTrue(b.mdmServer().Status.Conditions, mdmv1alpha1.ConditionReady)
	})
	edit(b, "oidc", &corev1.Secret{}, func(s *corev1.Secret) { s.Data["secret"] = []byte("s3cret too") })
	b.reconcileServer()
	b.remove("oidc", &corev1.Secret{})
	b.servers.Links.Disconnect(b.key(serverName)) // as if the manager had started again
	b.until("the server is connected all the same", func() bool {
		_, err := b.servers.Links.Server(b.key(serverName))
		return err == nil
	})
	b.expect(b.mdmServer(), "CredentialsReady=False/SecretNotFound", "Ready=False/SecretNotFound", "Reachable=True/Connected")
	if string(b.keep("mdm-sign-in").Data["client-secret"]) != "s3cret too" || meta.IsStatusConditionTrue(b.mdmServer().Status.Conditions, mdmv1alpha1.ConditionStalled) {
		t.Error("a server that runs lost what it had, or does not go on")
	}
	for _, e := range b.told() {
		if strings.Contains(e, "s3cret") {
			t.Errorf("an event tells the secret: %s", e)
		}
	}
}

func TestTokenIsForThePlatformsThatAreServed(t *testing.T) {
	const (
		url  = "https://" + host + "/enroll/"
		link = "ms-device-enrollment:?mode=mdm&servername=https://" + host + "/EnrollmentServer/Discovery.svc"
	)
	apple, windows := mdmv1alpha1.PlatformApple, mdmv1alpha1.PlatformWindows
	both := newServer()
	both.Spec.Windows = &mdmv1alpha1.WindowsServer{}
	for name, c := range map[string]struct {
		server    *mdmv1alpha1.MDMServer
		platforms []mdmv1alpha1.Platform
		want      string // condition
		url, link string
	}{
		"whatever an Apple server serves":   {newServer(), nil, "Ready=True/Ready", url, ""},
		"whatever a Windows server serves":  {newWindowsServer(), nil, "Ready=True/Ready", "", link},
		"whatever a server of both serves":  {both, nil, "Ready=True/Ready", url, link},
		"Apple only":                        {both.DeepCopy(), []mdmv1alpha1.Platform{apple}, "Ready=True/Ready", url, ""},
		"Windows only":                      {both.DeepCopy(), []mdmv1alpha1.Platform{windows}, "Ready=True/Ready", "", link},
		"Windows on a server without":       {newServer(), []mdmv1alpha1.Platform{windows}, "Stalled=True/PlatformNotServed", "", ""},
		"one of two that the server serves": {newWindowsServer(), []mdmv1alpha1.Platform{windows, apple}, "Published=False/PlatformNotServed", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := runningAs(t, c.server)
			token := newToken()
			token.Spec.Platforms = c.platforms
			b.create(token)
			b.reconcileToken(token.Name)
			b.expect(token, c.want)
			if token.Status.URL != c.url || token.Status.WindowsDeepLink != c.link {
				t.Errorf("status %+v", token.Status)
			}
			secret := &corev1.Secret{}
			if c.url == "" && c.link == "" {
				if b.exists("staff-enrollment", secret) {
					t.Error("there is a Secret for a token that is good for nothing")
				}
				return
			}
			b.get("staff-enrollment", secret)
			value := string(secret.Data["token"])
			if _, has := secret.Data["url"]; has != (c.url != "") || len(value) < 43 || strings.Contains(token.Status.WindowsDeepLink, value) {
				t.Errorf("the Secret has %q", slices.Sorted(maps.Keys(secret.Data)))
			}
		})
	}
}

// A token whose platforms change keeps its value; what people get follows.
func TestTokenFollowsItsPlatforms(t *testing.T) {
	s := newServer()
	s.Spec.Windows = &mdmv1alpha1.WindowsServer{}
	b := runningAs(t, s)
	b.create(newToken())
	b.reconcileToken("staff")
	before := b.keep("staff-enrollment")
	edit(b, "staff", &mdmv1alpha1.EnrollmentToken{}, func(e *mdmv1alpha1.EnrollmentToken) {
		e.Spec.Platforms = []mdmv1alpha1.Platform{mdmv1alpha1.PlatformWindows}
	})
	b.reconcileToken("staff")
	after := b.keep("staff-enrollment")
	if string(after.Data["token"]) != string(before.Data["token"]) || len(after.Data["url"]) != 0 || b.token().Status.URL != "" {
		t.Errorf("the Secret has %q, the status %q", slices.Sorted(maps.Keys(after.Data)), b.token().Status.URL)
	}
}
