package profile_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/managed"
)

const mobileconfig = `<plist><dict>
<key>PayloadType</key><string>Configuration</string>
<key>PayloadIdentifier</key><string>com.example.wifi</string>
<key>PayloadContent</key><array/>
</dict></plist>`

var ref = mdmv1alpha1.KeyReference{Name: "source", Key: "content"}

// from is a Profile whose whole content is in a ConfigMap or Secret.
func from(source mdmv1alpha1.ContentSource) *mdmv1alpha1.Profile {
	p := managed.Profile("wifi", nil)
	p.Spec.Apple = &mdmv1alpha1.AppleProfile{Type: mdmv1alpha1.AppleMobileconfig, Mobileconfig: &source}
	return p
}

// withPassword is a Profile with one value from a Secret.
func withPassword() *mdmv1alpha1.Profile {
	p := managed.Profile("wifi", nil)
	p.Spec.Apple.Payloads.Items[0].SecretValues = []mdmv1alpha1.SecretValue{{Path: "/Password", Encoding: mdmv1alpha1.SecretValueString, SecretRef: ref}}
	return p
}

func named() metav1.ObjectMeta { return metav1.ObjectMeta{Name: ref.Name} }

func TestMissingSourceIsNamedAndLookedForAgain(t *testing.T) {
	for name, c := range map[string]struct {
		profile *mdmv1alpha1.Profile
		reason  string
		empty   func(*managed.Bench)
		fill    func(*managed.Bench)
	}{
		"Secret of a value": {
			withPassword(), mdmv1alpha1.ReasonSecretNotFound,
			func(b *managed.Bench) { b.Create(&corev1.Secret{ObjectMeta: named()}) },
			func(b *managed.Bench) {
				managed.Edit(b, ref.Name, &corev1.Secret{}, func(s *corev1.Secret) { s.Data = map[string][]byte{ref.Key: []byte("hunter2")} })
			},
		},
		"Secret of a mobileconfig": {
			from(mdmv1alpha1.ContentSource{SecretRef: &ref}), mdmv1alpha1.ReasonSecretNotFound,
			func(b *managed.Bench) { b.Create(&corev1.Secret{ObjectMeta: named()}) },
			func(b *managed.Bench) {
				managed.Edit(b, ref.Name, &corev1.Secret{}, func(s *corev1.Secret) { s.Data = map[string][]byte{ref.Key: []byte(mobileconfig)} })
			},
		},
		"ConfigMap": {
			from(mdmv1alpha1.ContentSource{ConfigMapRef: &ref}), mdmv1alpha1.ReasonConfigMapNotFound,
			func(b *managed.Bench) { b.Create(&corev1.ConfigMap{ObjectMeta: named()}) },
			func(b *managed.Bench) {
				managed.Edit(b, ref.Name, &corev1.ConfigMap{}, func(m *corev1.ConfigMap) { m.BinaryData = map[string][]byte{ref.Key: []byte(mobileconfig)} })
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := managed.New(t)
			b.Create(c.profile)
			result := b.ReconcileNow(c.profile)
			b.Expect(c.profile, "Rendered=False/"+c.reason, "Ready=False/"+c.reason)
			if said := managed.Message(c.profile, "Rendered"); !strings.Contains(said, "source") || result.RequeueAfter <= 0 {
				t.Errorf("message %q, next look after %v", said, result.RequeueAfter)
			}
			c.empty(b)
			b.ReconcileNow(c.profile)
			b.Expect(c.profile, "Rendered=False/"+mdmv1alpha1.ReasonSecretKeyMissing)
			c.fill(b)
			b.UntilIs(c.profile, "Ready=True/Ready")
		})
	}
}

func TestChangedSecretReachesDevices(t *testing.T) {
	b, macs := fleetOf(t, 1)
	b.Create(&corev1.Secret{ObjectMeta: named(), Data: map[string][]byte{ref.Key: []byte("hunter2")}})
	p := withPassword()
	b.Create(p)
	b.Until("it is installed", func() bool { return connect(macs, managed.Acknowledge) == 1 })
	b.UntilIs(p, "Converged=True/Installed")
	before := p.Status.Digest
	if wait := b.ReconcileNow(p).RequeueAfter; wait <= 0 {
		t.Error("nobody will look at the Secret again")
	}
	managed.Edit(b, ref.Name, &corev1.Secret{}, func(s *corev1.Secret) { s.Data[ref.Key] = []byte("correct horse") })
	b.UntilIs(p, "Converged=False/RollingOut")
	got := macs[0].Connect(managed.Acknowledge)
	if len(got) != 1 || !strings.Contains(string(got[0].Install.Template), "correct horse") || p.Status.Digest == before {
		t.Errorf("the device got %d commands, digest %s after %s", len(got), p.Status.Digest, before)
	}
	for _, secret := range []string{"hunter2", "correct horse"} {
		secretFree(b, p, secret)
	}
}

func TestContentThatIsNoProfileStalls(t *testing.T) {
	for name, c := range map[string]struct{ content, reason string }{
		"unreadable": {"hunter2", mdmv1alpha1.ProfileUnreadable},
		"an enrolment": {
			strings.Replace(mobileconfig, "<array/>", "<array><dict><key>PayloadType</key><string>com.apple.mdm</string></dict></array>", 1),
			mdmv1alpha1.ProfileForbiddenPayload,
		},
		"more than a mebibyte": {
			strings.Replace(mobileconfig, "com.example.wifi</string>", "com.example.wifi</string><key>PayloadDescription</key><string>"+strings.Repeat("x", 1<<20)+"</string>", 1),
			mdmv1alpha1.ProfileTooLarge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := managed.New(t)
			b.Create(&corev1.Secret{ObjectMeta: named(), Data: map[string][]byte{ref.Key: []byte(c.content)}})
			p := from(mdmv1alpha1.ContentSource{SecretRef: &ref})
			b.Create(p)
			if wait := b.ReconcileNow(p).RequeueAfter; wait <= 0 {
				t.Error("a corrected Secret would not be noticed")
			}
			b.Expect(p, "Rendered=False/"+c.reason, "Stalled=True/"+c.reason)
			secretFree(b, p, "hunter2")
			managed.Edit(b, ref.Name, &corev1.Secret{}, func(s *corev1.Secret) { s.Data[ref.Key] = []byte(mobileconfig) })
			b.UntilIs(p, "Ready=True/Ready", "Stalled=absent")
		})
	}
}
