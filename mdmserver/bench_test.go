package mdmserver_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/cputime"
)

// BenchmarkIdleContact is a device that asks for work and finds none: TLS, signature, identity, store. The message is signed beforehand.
func BenchmarkIdleContact(b *testing.B) {
	w := newWorld(b)
	mac, _ := w.enrolled(b, 1)
	message, err := mac.PrepareIdle()
	if err != nil {
		b.Fatal(err)
	}
	sender := cputime.Sender{Body: string(message.Body)}
	load := w.load(message.URL, message.ContentType, []cputime.Sender{sender, sender})
	load.Method = http.MethodPut
	load.Header["Mdm-Signature"] = []string{message.Signature}
	cputime.ServerPerSecond(b, "contacts", load)
}

// BenchmarkCommandRoundTrip is an action from its PUT to the device's answer, the device's and the manager's halves and signatures included.
func BenchmarkCommandRoundTrip(b *testing.B) {
	w := newWorld(b)
	mac, device := w.enrolled(b, 1)
	targets := []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}}
	cputime.PerSecond(b, "actions", func() {
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
	})
}
