package apns_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// server uses push and has loaded the certificate of a fingerprint.
func server(name, fingerprint string, ready metav1.Condition) *mdmv1alpha1.MDMServer {
	s := &mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	s.Spec.Apple = &mdmv1alpha1.AppleServer{APNSCertificateRef: &mdmv1alpha1.LocalReference{Name: "push"}}
	if fingerprint != "" {
		s.Status.Certificates = []mdmv1alpha1.ServerCertificate{{Name: "Push", Fingerprint: fingerprint}}
		s.Status.PushTopic = topic
	}
	ready.Type = mdmv1alpha1.MDMServerPushReady
	s.Status.Conditions = []metav1.Condition{ready}
	return s
}

func anotherKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestImport(t *testing.T) {
	leaf := issued(t, rsaKey().Public(), topic, now.AddDate(0, 0, 364))
	w := newWorld(t, push(signed), server("berlin", "", metav1.Condition{Status: metav1.ConditionFalse, Reason: mdmv1alpha1.MDMServerAPNSCertificateNotReady, Message: "see push"}))
	w.operator = []func(*mdmv1alpha1.APNSCertificate){
		func(c *mdmv1alpha1.APNSCertificate) { c.Status.LastHandledRequest = "an earlier one" },
		inUse(leaf),
	}
	// A key that somebody put into the file stays on this computer.
	key, err := x509.MarshalPKCS8PrivateKey(rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	given := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), download(leaf)...)
	w.wantError(w.run("import", "push", w.file("cert.pem", given)))
	w.wantOutput("Topic          "+topic, "2027-06-30 12:00 UTC, 364 days left", "spec.appleAccount", "✗ berlin\n    see push")
	want, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{mdmv1alpha1.AnnotationRequestedAt: stamp}},
		"spec":     map[string]any{"certificate": string(pemOf(leaf))},
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.patches["push"] != string(want) {
		t.Errorf("patched %s", w.patches["push"])
	}
}

func TestImportFromStandardInput(t *testing.T) {
	leaf := issued(t, rsaKey().Public(), topic, now.AddDate(0, 0, 364))
	w := newWorld(t, push(signed))
	w.in, w.operator = string(download(leaf)), []func(*mdmv1alpha1.APNSCertificate){inUse(leaf)}
	w.wantError(w.run("import", "push", "-"))
	w.wantOutput("none: name it in spec.apple.apnsCertificateRef")
}

// What can be known here is refused here, and nothing is written.
func TestImportRefusesBefore(t *testing.T) {
	live := issued(t, rsaKey().Public(), topic, now.AddDate(0, 0, 100))
	renewing := all(inUse(live), signed)
	shown := func(c *mdmv1alpha1.APNSCertificate) { c.Spec.Certificate = string(pemOf(live)) }
	vendor := issued(t, rsaKey().Public(), "", now.AddDate(0, 0, 100))
	for _, tc := range []struct {
		name  string
		push  *mdmv1alpha1.APNSCertificate
		given []byte
		want  []string
	}{
		{"no certificate", push(signed), []byte("<html>"), []string{"Malformed"}},
		{"another request's", push(signed), download(issued(t, anotherKey(t).Public(), topic, now.AddDate(1, 0, 0))), []string{"KeyMismatch", "--no-check"}},
		{"of another type", push(signed), download(vendor), []string{"WrongType"}},
		{"another topic", push(renewing), download(issued(t, rsaKey().Public(), "com.apple.mgmt.External.other", now.AddDate(1, 0, 0))), []string{"TopicChanged", topic}},
		{"ends earlier", push(renewing, shown), download(issued(t, rsaKey().Public(), topic, now.AddDate(0, 0, 99))), []string{"NotLater"}},
		{"ended", push(signed), download(issued(t, rsaKey().Public(), topic, now.AddDate(0, 0, -1))), []string{"Expired"}},
		{"too long", push(signed), bytes.Repeat([]byte("x"), 64<<10+1), []string{"more than 65536 bytes"}},
		{"empty", push(signed), nil, []string{"is empty"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.push)
			w.wantError(w.run("import", "push", w.file("cert.pem", tc.given)), tc.want...)
			if len(w.patches) > 0 {
				t.Errorf("wrote %v", w.patches)
			}
		})
	}
}

// A topic that was allowed to change passes, and a certificate that no key is known for is left to the operator.
func TestImportLeavesToTheOperatorWhatItCannotKnow(t *testing.T) {
	live := issued(t, rsaKey().Public(), topic, now.AddDate(0, 0, 100))
	other := issued(t, rsaKey().Public(), "com.apple.mgmt.External.other", now.AddDate(1, 0, 0))
	renewed := issued(t, anotherKey(t).Public(), topic, now.AddDate(1, 0, 0))
	for _, tc := range []struct {
		name string
		push *mdmv1alpha1.APNSCertificate
		leaf *x509.Certificate
		args []string
	}{
		{"the topic is allowed", push(inUse(live), signed, func(c *mdmv1alpha1.APNSCertificate) { c.Spec.AcceptTopic = "com.apple.mgmt.External.other" }), other, nil},
		{"no key is known", push(inUse(live)), renewed, nil},
		{"no check", push(inUse(live), signed), renewed, []string{"--no-check"}},
		{"in use already", push(inUse(live), func(c *mdmv1alpha1.APNSCertificate) { c.Spec.Certificate = string(pemOf(live)) }), live, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.push)
			w.operator = []func(*mdmv1alpha1.APNSCertificate){func(*mdmv1alpha1.APNSCertificate) {}, inUse(tc.leaf)} // the one of before is issued, too
			w.wantError(w.run(append([]string{"import", "push", w.file("cert.pem", download(tc.leaf))}, tc.args...)...))
			w.wantOutput("Ends           " + tc.leaf.NotAfter.Format("2006-01-02"))
			if w.push().Spec.Certificate != string(pemOf(tc.leaf)) {
				t.Error("the certificate is not in spec.certificate")
			}
		})
	}
}

// The status before the import says that the certificate of before is issued: only what the operator says of the new one counts.
func TestImportIsRefusedByTheOperator(t *testing.T) {
	live := issued(t, rsaKey().Public(), topic, now.AddDate(0, 0, 100))
	leaf := issued(t, anotherKey(t).Public(), topic, now.AddDate(1, 0, 0))
	w := newWorld(t, push(inUse(live)))
	w.operator = []func(*mdmv1alpha1.APNSCertificate){all(
		condition(mdmv1alpha1.APNSCertificateIssued, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateKeyMismatch, "it belongs to none of the keys"),
		func(c *mdmv1alpha1.APNSCertificate) { c.Status.NextStep = "Correct what was given." },
	)}
	w.wantError(w.run("import", "push", w.file("cert.pem", download(leaf))), "KeyMismatch", "it belongs to none of the keys", "Next step: Correct what was given.")
}

func TestImportIntoASecret(t *testing.T) {
	leaf := issued(t, rsaKey().Public(), topic, now.AddDate(0, 0, 364))
	there := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "from-apple"}, Data: map[string][]byte{"other": []byte("stays")}}
	for name, others := range map[string][]client.Object{"there": {there}, "not there": nil} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, push(signed, func(c *mdmv1alpha1.APNSCertificate) {
				c.Spec.CertificateSecretRef = &mdmv1alpha1.KeyReference{Name: "from-apple", Key: "push.pem"}
			}), others...)
			w.operator = []func(*mdmv1alpha1.APNSCertificate){inUse(leaf)}
			w.wantError(w.run("import", "push", w.file("cert.pem", download(leaf))))
			secret := &corev1.Secret{}
			if err := w.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "from-apple"}, secret); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(secret.Data["push.pem"], pemOf(leaf)) || len(others) > 0 && string(secret.Data["other"]) != "stays" {
				t.Errorf("the Secret has %q", secret.Data)
			}
			if strings.Contains(w.patches["push"], "spec") {
				t.Errorf("patched %s", w.patches["push"])
			}
		})
	}
}
