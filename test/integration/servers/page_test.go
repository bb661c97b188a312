package servers_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// A logo that is missing, wrong or too large shows in a condition, keeps the server from nothing, and leaves the last good one in use.
func TestTheLogoOfTheEnrolmentPageNeverBreaksTheServer(t *testing.T) {
	const svg = `<svg xmlns="http://www.w3.org/2000/svg"/>`
	s := newServer()
	s.Spec.EnrollmentPage.LogoConfigMapRef = &mdmv1alpha1.KeyReference{Name: "brand", Key: "logo.svg"}
	b := runningAs(t, s)
	b.reconcileServer()
	b.expect(b.mdmServer(), "EnrollmentPageReady=False/LogoNotFound", "Ready=True/Connected")
	if b.exists("mdm-page", &corev1.ConfigMap{}) {
		t.Error("there is a copy of nothing")
	}

	b.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "brand"}, Data: map[string]string{"other": svg}})
	b.reconcileServer()
	b.expect(b.mdmServer(), "EnrollmentPageReady=False/LogoNotFound")
	copied := func() string {
		t.Helper()
		page := &corev1.ConfigMap{}
		b.get("mdm-page", page)
		return string(page.BinaryData["logo"])
	}
	put := func(content string) {
		t.Helper()
		edit(b, "brand", &corev1.ConfigMap{}, func(c *corev1.ConfigMap) { c.Data = map[string]string{"logo.svg": content} })
		b.reconcileServer()
	}
	put(svg)
	b.expect(b.mdmServer(), "EnrollmentPageReady=True/Ready")
	if got := copied(); got != svg {
		t.Errorf("the copy is %q", got)
	}
	for content, why := range map[string]string{"<html></html>": "no SVG, PNG or JPEG", svg + strings.Repeat(" ", 256<<10): "at most 262144"} {
		put(content)
		b.expect(b.mdmServer(), "EnrollmentPageReady=False/LogoInvalid", "Ready=True/Connected")
		if c := meta.FindStatusCondition(b.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerEnrollmentPageReady); !strings.Contains(c.Message, why) {
			t.Errorf("message %q", c.Message)
		}
		if got := copied(); got != svg {
			t.Errorf("the copy is %d bytes of another logo", len(got))
		}
	}
	edit(b, serverName, &mdmv1alpha1.MDMServer{}, func(s *mdmv1alpha1.MDMServer) { s.Spec.EnrollmentPage.LogoConfigMapRef = nil })
	b.reconcileServer()
	if c := meta.FindStatusCondition(b.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerEnrollmentPageReady); c != nil {
		t.Errorf("a server whose page names nothing has the condition %+v", c)
	}
}
