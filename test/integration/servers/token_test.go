package servers_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

func newToken() *mdmv1alpha1.EnrollmentToken {
	return &mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Name: "staff"}, Spec: mdmv1alpha1.EnrollmentTokenSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, MaxUses: 2, Labels: map[string]string{"team": "staff"},
	}}
}

func (b *bench) token() *mdmv1alpha1.EnrollmentToken {
	b.Helper()
	token := &mdmv1alpha1.EnrollmentToken{}
	b.get("staff", token)
	return token
}

// known lists the tokens that the real server has.
func (b *bench) known() []adminapi.TokenStatus {
	b.Helper()
	session, err := b.servers.Links.Server(b.key(serverName))
	b.must(err)
	tokens, err := adminapi.All(b.Context(), session.Client().Tokens)
	b.must(err)
	return tokens
}

func TestTokenIsPublished(t *testing.T) {
	b := running(t)
	b.create(newToken())
	b.reconcileToken("staff")
	token := b.token()
	b.expect(token, "Ready=True/Ready", "Published=True/Ready", "Usable=True/Ready")
	secret := &corev1.Secret{}
	b.get("staff-enrollment", secret)
	value := string(secret.Data["token"])
	if len(value) < 43 || string(secret.Data["url"]) != "https://"+host+"/enroll/"+value || !metav1.IsControlledBy(secret, token) {
		t.Errorf("the Secret: token of %d characters, owned %v", len(value), metav1.IsControlledBy(secret, token))
	}
	if s := token.Status; s.URL != "https://"+host+"/enroll/" || *s.Uses != 0 || *s.UsesLeft != 2 || s.SecretRef.Name != "staff-enrollment" {
		t.Errorf("status %+v", s)
	}
	sum := sha256.Sum256([]byte(value))
	stored := b.known()
	if len(stored) != 1 || stored[0].Key != adminapi.Key(b.ns+"/staff") {
		t.Errorf("the server knows %+v", stored)
	}
	for _, e := range b.told() {
		if strings.Contains(e, value) || strings.Contains(e, hex.EncodeToString(sum[:])) {
			t.Errorf("an event tells the token: %s", e)
		}
	}
	version := secret.ResourceVersion
	b.reconcileToken("staff")
	if b.get("staff-enrollment", secret); secret.ResourceVersion != version {
		t.Error("the Secret was written without need")
	}
}

func TestTokenIsMadeAgainWhenItsSecretIsGone(t *testing.T) {
	b := running(t)
	b.create(newToken())
	b.reconcileToken("staff")
	before := b.keep("staff-enrollment")
	b.remove("staff-enrollment", &corev1.Secret{})
	b.reconcileToken("staff")
	if after := b.keep("staff-enrollment"); string(after.Data["token"]) == string(before.Data["token"]) {
		t.Error("the same token came back")
	}
}

func TestTokenStates(t *testing.T) {
	b := running(t)
	b.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "taken"}})
	b.create(&mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Name: "mac"}, Spec: mdmv1alpha1.DeviceSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: serverName}, SerialNumber: "C02ABCDEFGH1",
	}})
	for name, c := range map[string]struct {
		change  func(*mdmv1alpha1.EnrollmentToken)
		forward time.Duration
		want    []string
	}{
		"bound":     {func(e *mdmv1alpha1.EnrollmentToken) { e.Spec.DeviceRef = &mdmv1alpha1.LocalReference{Name: "mac"} }, 0, []string{"Ready=True/Ready"}},
		"no device": {func(e *mdmv1alpha1.EnrollmentToken) { e.Spec.DeviceRef = &mdmv1alpha1.LocalReference{Name: "none"} }, 0, []string{"Published=False/DeviceNotFound", "Ready=False/DeviceNotFound"}},
		"no server": {func(e *mdmv1alpha1.EnrollmentToken) { e.Spec.ServerRef.Name = "none" }, 0, []string{"Published=False/ServerNotFound"}},
		"taken":     {func(e *mdmv1alpha1.EnrollmentToken) { e.Spec.SecretName = "taken" }, 0, []string{"Published=False/SecretTaken", "Stalled=True/SecretTaken"}},
		"own label": {func(e *mdmv1alpha1.EnrollmentToken) { e.Spec.Labels = map[string]string{"mdm.kubemdm.io/server": "x"} }, 0, []string{"Published=False/Invalid", "Stalled=True/Invalid"}},
		"not expired": {func(e *mdmv1alpha1.EnrollmentToken) {
			at := metav1.NewTime(b.clock.Now().Add(time.Hour))
			e.Spec.ExpiresAt = &at
		}, 0, []string{"Usable=True/Ready"}},
		"expired": {func(e *mdmv1alpha1.EnrollmentToken) {
			at := metav1.NewTime(b.clock.Now().Add(time.Hour))
			e.Spec.ExpiresAt = &at
		}, 2 * time.Hour, []string{"Usable=False/Expired", "Ready=True/Ready"}},
	} {
		t.Run(name, func(t *testing.T) {
			token := newToken()
			token.Name = strings.ReplaceAll(name, " ", "-")
			c.change(token)
			b.create(token)
			start := b.clock.Now()
			b.clock.SetTime(start.Add(c.forward))
			defer b.clock.SetTime(start)
			b.reconcileToken(token.Name)
			b.expect(token, c.want...)
		})
	}
}

func TestDeletedTokenIsWithdrawn(t *testing.T) {
	b := running(t)
	b.create(newToken())
	b.reconcileToken("staff")
	b.remove("staff", &mdmv1alpha1.EnrollmentToken{})
	b.pod.Stop()
	b.until("the loss is seen", func() bool {
		_, err := b.servers.Links.Server(b.key(serverName))
		return err != nil
	})
	b.reconcileToken("staff")
	b.expect(b.token(), "Ready=False/Deleting", "Published=False/ServerUnreachable")
	b.pod.Start()
	b.until("the server is back", func() bool {
		_, err := b.servers.Links.Server(b.key(serverName))
		return err == nil
	})
	b.reconcileToken("staff")
	if b.exists("staff", &mdmv1alpha1.EnrollmentToken{}) || len(b.known()) != 0 {
		t.Errorf("the token stays; the server knows %+v", b.known())
	}
}

func TestTokenOfAGoneServerIsLetGo(t *testing.T) {
	b := running(t)
	b.create(newToken())
	b.reconcileToken("staff")
	b.remove(serverName, &mdmv1alpha1.MDMServer{})
	b.reconcileServer()
	b.remove("staff", &mdmv1alpha1.EnrollmentToken{})
	b.told()
	b.reconcileToken("staff")
	if b.exists("staff", &mdmv1alpha1.EnrollmentToken{}) {
		t.Error("the token waits for a server that is gone")
	}
	b.contains(b.told(), "ServerNotFound")
}
