package fleet_test

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/awsfake"
	"github.com/kubemdm/kubemdm/test/managed"
)

// With a KMS neither the key nor the token lies in the Secret, and only a manager that starts asks the KMS for them.
func TestTokenIsSealedByAKMS(t *testing.T) {
	kms := awsfake.Start(t)
	awsfake.UseWebIdentity(t, awsfake.Audience)
	private := awsfake.NewKey(t)
	kms.Put("1234abcd-12ab-34cd-56ef-1234567890ab", "ENCRYPT_DECRYPT", private)
	a := automateOn(t, serialBench(t), macsAndRest()...)
	managed.Edit(a.Bench, a.object.Name, a.object, func(o *mdmv1alpha1.AutomatedEnrollment) {
		o.Spec.KeyStorage = mdmv1alpha1.KeyStorage{Type: mdmv1alpha1.KeyStorageKMS, KMS: &mdmv1alpha1.KMSKey{URI: "awskms:region=" + awsfake.Region + ";key-id=1234abcd-12ab-34cd-56ef-1234567890ab"}}
	})
	a.apple.Add(macs("C", 1)...)
	kms.Fail(awsfake.Away)
	a.UntilIs(a.object, "KeyReady=False/KMSFailed")
	kms.Fail("")
	a.UntilIs(a.object, "KeyReady=True/Ready", "TokenAccepted=False/AwaitingToken")
	a.give(a.download())
	a.UntilIs(a.object, "Ready=True/Ready")
	secret := &corev1.Secret{}
	a.Get(a.object.KeySecretName(), secret)
	if len(secret.Data["tls.key.sealed"]) == 0 || len(secret.Data["token.json.sealed"]) == 0 {
		t.Error("the Secret lacks the sealed key or token")
	}
	for name, content := range secret.Data {
		if bytes.Contains(content, []byte("PRIVATE KEY")) || bytes.Contains(content, []byte("consumer_key")) || bytes.Contains(content, []byte("CS_")) {
			t.Errorf("%s is not sealed", name)
		}
	}
	opened := kms.Calls()["Decrypt"]
	for range 3 {
		a.Round()
	}
	if n := kms.Calls()["Decrypt"]; n != opened {
		t.Errorf("the KMS was asked %d more times", n-opened)
	}
	a.Manage()
	kms.Fail(awsfake.Away)
	a.UntilIs(a.object, "TokenAccepted=False/KMSFailed", "Ready=False/KMSFailed")
	kms.Fail("")
	a.UntilIs(a.object, "Ready=True/Ready")
}
