package mdmserver_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// BenchmarkIdleContact is a device that asks for work and finds none: TLS, signature, identity, store. The message is signed beforehand.
func BenchmarkIdleContact(b *testing.B) {
	w := newWorld(b)
	mac, _ := w.enrolled(b, 1)
	client := w.deviceHTTP(b)
	message, err := mac.PrepareIdle()
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if status, _, err := message.Send(b.Context(), client); status != http.StatusOK || err != nil {
				b.Errorf("%d, %v", status, err)
				return
			}
		}
	})
}

// BenchmarkCommandRoundTrip is an action from its PUT to the device's answer, device's work and signatures included.
func BenchmarkCommandRoundTrip(b *testing.B) {
	w := newWorld(b)
	mac, device := w.enrolled(b, 1)
	targets := []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}}
	for i := 0; b.Loop(); i++ {
		action := adminapi.Action{Key: "fleet/info", SpecHash: strconv.Itoa(i), Targets: targets,
			Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation}}
		if _, err := w.admin.PutAction(b.Context(), action); err != nil {
			b.Fatal(err)
		}
		if err := mac.Idle(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
