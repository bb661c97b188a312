package servers_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/pki"
)

const (
	topic      = "com.apple.mgmt.External.00000000-0000-4000-8000-000000000001"
	otherTopic = "com.apple.mgmt.External.00000000-0000-4000-8000-000000000002"
)

func newPush() *mdmv1alpha1.APNSCertificate {
	return &mdmv1alpha1.APNSCertificate{ObjectMeta: metav1.ObjectMeta{Name: "push"}, Spec: mdmv1alpha1.APNSCertificateSpec{
		SecretRef: &mdmv1alpha1.LocalReference{Name: "apns"},
	}}
}

func (b *bench) push() *mdmv1alpha1.APNSCertificate {
	b.Helper()
	c := &mdmv1alpha1.APNSCertificate{}
	b.get("push", c)
	return c
}

// put replaces the content of the Secret that the APNSCertificate names.
func (b *bench) put(data map[string][]byte) {
	b.Helper()
	edit(b, "apns", &corev1.Secret{}, func(s *corev1.Secret) { s.Data = data })
	b.reconcileCertificate()
}

func TestPushCertificateGate(t *testing.T) {
	apple := pki.NewAppleCA(t)
	good := pairData(t, apple, pki.Leaf{CN: "APSP:1", UID: topic})
	other := pairData(t, apple, pki.Leaf{CN: "APSP:1", UID: topic})
	for name, c := range map[string]struct {
		data    map[string][]byte
		forward time.Duration
		want    string
	}{
		"no Secret":      {nil, 0, "Issued=False/SecretNotFound"},
		"no certificate": {map[string][]byte{"tls.key": good["tls.key"]}, 0, "Issued=False/Malformed"},
		"no key":         {map[string][]byte{"tls.crt": good["tls.crt"]}, 0, "Issued=False/Malformed"},
		"another key":    {map[string][]byte{"tls.crt": good["tls.crt"], "tls.key": other["tls.key"]}, 0, "Issued=False/KeyMismatch"},
		"for apps":       {pairData(t, apple, pki.Leaf{CN: "APSP:1", UID: "com.example.app"}), 0, "Issued=False/WrongType"},
		"not Apple's":    {pairData(t, pki.NewCA(t, "Example"), pki.Leaf{CN: "APSP:1", UID: topic}), 0, "Issued=False/IssuerUnknown"},
		"no topic":       {pairData(t, apple, pki.Leaf{CN: "APSP:1"}), 0, "Issued=False/WrongType"},
		"too early":      {good, -48 * time.Hour, "Issued=False/NotYetValid"},
		"too late":       {good, 50 * 365 * 24 * time.Hour, "Issued=False/Expired"},
		"good":           {good, 0, "Issued=True/Ready"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.create(newPush())
			if c.data != nil {
				b.secret("apns", c.data)
			}
			b.clock.SetTime(b.clock.Now().Add(c.forward))
			b.reconcileCertificate()
			b.expect(b.push(), c.want, "PushAccepted=Unknown/NotUsed")
			ready := meta.FindStatusCondition(b.push().Status.Conditions, mdmv1alpha1.ConditionReady)
			if (ready.Status == metav1.ConditionTrue) != (name == "good") || (b.push().Status.Topic == topic) != (name == "good") {
				t.Errorf("Ready is %s/%s, topic %q", ready.Status, ready.Reason, b.push().Status.Topic)
			}
		})
	}
}

func TestAnotherTopicIsRefusedUnlessAccepted(t *testing.T) {
	apple := pki.NewAppleCA(t)
	b := newBench(t)
	b.create(newPush())
	b.secret("apns", pairData(t, apple, pki.Leaf{CN: "APSP:1", UID: topic}))
	b.reconcileCertificate()
	first := b.push().Status
	b.put(pairData(t, apple, pki.Leaf{CN: "APSP:2", UID: otherTopic}))
	b.expect(b.push(), "Issued=False/TopicChanged", "TopicUnchanged=False/TopicChanged", "Stalled=True/TopicChanged", "Ready=False/TopicChanged")
	if s := b.push().Status; s.Topic != topic || s.Fingerprint != first.Fingerprint {
		t.Errorf("the refused certificate is in use: %+v", s)
	}
	b.put(pairData(t, apple, pki.Leaf{CN: "APSP:3", UID: topic, NotAfter: time.Now().AddDate(0, 0, 3)})) // renewed as it should be
	b.expect(b.push(), "TopicUnchanged=True/Ready", "Ready=True/Ready")
	if s := b.push().Status; s.Fingerprint == first.Fingerprint {
		t.Error("the renewed certificate is not in use")
	}
	edit(b, "push", &mdmv1alpha1.APNSCertificate{}, func(c *mdmv1alpha1.APNSCertificate) { c.Spec.AcceptTopic = otherTopic })
	b.put(pairData(t, apple, pki.Leaf{CN: "APSP:2", UID: otherTopic, NotAfter: time.Now().AddDate(0, 0, 4)}))
	if s := b.push().Status; s.Topic != otherTopic {
		t.Errorf("the accepted topic is not in use: %+v", s)
	}
}

func TestExpiryIsToldAtEachThreshold(t *testing.T) {
	b := newBench(t)
	b.create(newPush())
	year := b.clock.Now().AddDate(1, 0, 0)
	b.secret("apns", pairData(t, pki.NewAppleCA(t), pki.Leaf{CN: "APSP:1", UID: topic, NotAfter: year}))
	b.reconcileCertificate()
	end := b.push().Status.NotAfter.Time
	for _, c := range []struct {
		left time.Duration
		want string
	}{
		{61 * 24 * time.Hour, ""}, {59 * 24 * time.Hour, "less than 60 days"}, {58 * 24 * time.Hour, ""}, {29 * 24 * time.Hour, "less than 30 days"},
		{13 * 24 * time.Hour, "less than 14 days"}, {6 * 24 * time.Hour, "less than 7 days"}, {time.Hour, "less than 1 day"},
	} {
		b.told()
		b.clock.SetTime(end.Add(-c.left))
		b.reconcileCertificate()
		told := b.told()
		if c.want == "" && c.left < 60*24*time.Hour && len(told) != 0 {
			t.Errorf("with %s left: %q", c.left, told)
		}
		if c.want != "" {
			b.contains(told, c.want)
			b.expect(b.push(), "NotExpiring=False/Expiring", "Ready=True/Ready")
		}
	}
}

func TestServerGetsOnlyGoodPushCertificates(t *testing.T) {
	apple := pki.NewAppleCA(t)
	b := running(t)
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) {
		s.Spec.Apple.APNSCertificateRef = &mdmv1alpha1.LocalReference{Name: "push"}
	})
	b.reconcileServer()
	b.expect(b.mdmServer(), "PushReady=False/NoAPNSCertificate")
	b.create(newPush())
	b.reconcileCertificate()
	b.reconcileServer()
	b.expect(b.mdmServer(), "PushReady=False/APNSCertificateNotReady", "Ready=True/Connected")

	b.secret("apns", pairData(t, apple, pki.Leaf{CN: "APSP:1", UID: topic}))
	b.reconcileCertificate()
	b.reconcileServer()
	b.expect(b.mdmServer(), "PushReady=False/RollingOut")
	b.pod.Mount()
	b.until("the server holds the certificate", func() bool {
		return meta.IsStatusConditionTrue(b.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerPushReady)
	})
	if got := b.mdmServer().Status.PushTopic; got != topic {
		t.Errorf("push topic %q", got)
	}
	b.reconcileCertificate()
	b.expect(b.push(), "PushAccepted=Unknown/NoPushYet")

	good := b.keep("mdm-push")
	b.put(pairData(t, apple, pki.Leaf{CN: "APSP:2", UID: otherTopic}))
	b.reconcileServer()
	if after := b.keep("mdm-push"); string(after.Data["tls.crt"]) != string(good.Data["tls.crt"]) {
		t.Error("a certificate with another topic reached the server")
	}
	b.expect(b.mdmServer(), "PushReady=True/Ready")
}
