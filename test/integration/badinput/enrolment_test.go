package badinput_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// A token that is used up enrols nobody more, says so, and goes on when it is given more uses.
func TestATokenThatIsUsedUp(t *testing.T) {
	w := newWorld(t)
	url := w.invite(&mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Name: "once"}, Spec: mdmv1alpha1.EnrollmentTokenSpec{MaxUses: 1}})
	first, second := w.mac("ONCE", 1), w.mac("ONCE", 2)
	w.must(first.Enroll(t.Context(), url))
	refused := new(devicesim.StatusError)
	if err := second.Enroll(t.Context(), url); !errors.As(err, &refused) || refused.Code != http.StatusGone {
		t.Errorf("a second device: %v", err)
	}
	w.expect(&mdmv1alpha1.EnrollmentToken{}, "once", "Usable=False/UsedUp")
	w.expect(&mdmv1alpha1.EnrollmentToken{}, "once", "Ready=True/Ready")
	edit(w, "once", &mdmv1alpha1.EnrollmentToken{}, func(e *mdmv1alpha1.EnrollmentToken) { e.Spec.MaxUses = 2 })
	w.expect(&mdmv1alpha1.EnrollmentToken{}, "once", "Usable=True/Ready")
	w.must(second.Enroll(t.Context(), url))
}

// A second enrolment of a device that is enrolled is refused, told on its Device, and possible once the Device is released.
func TestAnEnrolmentThatIsTaken(t *testing.T) {
	w := newWorld(t)
	url := w.invite(&mdmv1alpha1.EnrollmentToken{ObjectMeta: metav1.ObjectMeta{Name: "any"}})
	mac, twin := w.mac("TAKEN", 1), w.mac("TAKEN", 1)
	w.must(mac.Enroll(t.Context(), url))
	device := w.deviceOf(mac)
	refused := new(devicesim.StatusError)
	if err := twin.Enroll(t.Context(), url); !errors.As(err, &refused) || refused.Code != http.StatusForbidden {
		t.Errorf("the twin: %v", err)
	}
	w.expect(device, device.Name, "ReenrolmentBlocked=True/IdentityTaken")
	w.idle([]*devicesim.Device{mac})
	edit(w, device.Name, device, func(d *mdmv1alpha1.Device) {
		d.Annotations = map[string]string{mdmv1alpha1.AnnotationRelease: d.Status.Enrollment.ID}
	})
	w.expect(device, device.Name, "Enrolled=False/EnrollmentEnded")
	w.must(twin.Enroll(t.Context(), url))
	w.expect(device, device.Name, "Enrolled=True/Ready")
}

// A manager that is not the newest one writes nothing to the server, and says so.
func TestASecondManager(t *testing.T) {
	w := newWorld(t)
	macs := w.installed("wifi", 1)
	secret := &corev1.Secret{}
	w.get("mdm-admin-client", secret)
	pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	w.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(secret.Data["ca.crt"])
	newer := &http.Client{Transport: &http.Transport{
		DialContext: w.pod.DialAdmin, TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots},
	}}
	t.Cleanup(newer.CloseIdleConnections)
	_, err = adminapi.NewClient("https://mdm-admin."+w.ns+".svc:9443", newer, math.MaxInt64).Changes(t.Context(), 0, 1)
	w.must(err)
	edit(w, "wifi", &mdmv1alpha1.Profile{}, func(p *mdmv1alpha1.Profile) { p.Spec.Apple.Mobileconfig.Inline = mobileconfig(wifi, "Guests") })
	w.expect(&mdmv1alpha1.Profile{}, "wifi", "Ready=False/AnotherManager")
	w.idle(macs)
	if installs := macs[0].Profiles()[wifi].Installs; installs != 1 {
		t.Errorf("installed %d times", installs)
	}
}
