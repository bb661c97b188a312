package badinput_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/apnsfake"
)

// information is harmless work for a device, for which the server wakes it.
func (w *world) information(name, device string) {
	w.Helper()
	w.create(command(name, device, mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionDeviceInformation}))
}

// A push certificate that Apple refuses pauses pushing and is told; no device changes, and a renewed certificate ends it.
func TestAPushCertificateThatAppleRefuses(t *testing.T) {
	w := newWorld(t)
	macs := w.enrol("design", team, 1)
	device := w.deviceOf(macs[0])
	w.apns.AnswerAll(&apnsfake.Answer{Status: http.StatusForbidden, Reason: "BadCertificate"})
	w.information("first", device.Name)
	w.eventually("the pause", func(ctx context.Context) string {
		poke(w, "mdm", &mdmv1alpha1.MDMServer{})
		return lacks(ctx, w.key("mdm"), &mdmv1alpha1.MDMServer{}, "PushReady=False/PushPaused")
	})
	w.expect(&mdmv1alpha1.APNSCertificate{}, "push", "PushAccepted=False/PushRefused")
	w.expect(device, device.Name, "Enrolled=True/Ready")
	w.expect(device, device.Name, "Responding=True/Ready")

	w.apns.AnswerAll(nil)
	w.information("second", device.Name) // whose push is due at once
	edit(w, "apns", &corev1.Secret{}, func(s *corev1.Secret) { s.Data = w.pushPair() })
	w.eventually("the end of the pause", func(ctx context.Context) string {
		poke(w, "push", &mdmv1alpha1.APNSCertificate{})
		poke(w, "mdm", &mdmv1alpha1.MDMServer{})
		w.pod.Mount() // kubelet brings the new certificate
		return lacks(ctx, w.key("push"), &mdmv1alpha1.APNSCertificate{}, "PushAccepted=True/Accepted")
	})
	w.expect(&mdmv1alpha1.MDMServer{}, "mdm", "PushReady=True/Ready")
	w.must(w.apns.Wait(t.Context(), macs[0].Channel().PushToken()))
	w.idle(macs)
	for _, name := range []string{"first", "second"} {
		w.expect(&mdmv1alpha1.DeviceCommand{}, name, "Succeeded=True/Done")
	}
}

// A device that Apple cannot wake any more is told as such, stays enrolled, and is managed when it calls by itself.
func TestADeviceThatAppleCannotWake(t *testing.T) {
	w := newWorld(t)
	macs := w.enrol("design", team, 1)
	device := w.deviceOf(macs[0])
	w.apns.Script(macs[0].Channel().PushToken(), apnsfake.Answer{Status: http.StatusGone, Reason: "Unregistered", Timestamp: time.Now().Add(time.Hour)})
	w.information("first", device.Name)
	w.expect(device, device.Name, "Responding=False/PushUnregistered")
	w.expect(device, device.Name, "Enrolled=True/Ready")
	w.idle(macs)
	w.expect(&mdmv1alpha1.DeviceCommand{}, "first", "Succeeded=True/Done")
}
