package devicesim_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// BenchmarkServerEnroll is a whole enrolment, both sides of it: profile, SCEP, Authenticate, TokenUpdate. Keys are made before.
func BenchmarkServerEnroll(b *testing.B) {
	w := newWorld(b)
	client := devicesim.NewClient(w.web.Pool())
	fleet, err := devicesim.NewFleet(b.N, func(index int) devicesim.Options {
		return devicesim.Options{Hardware: devicesim.Mac("BENCH", index), Client: client, Roots: w.web.Pool(), Key: keys.Key}
	})
	fatal(b, err)
	for range 3 {
		_, err := keys.Key()
		fatal(b, err)
	}
	b.ResetTimer()
	fatal(b, fleet.Enroll(b.Context(), 8, w.URL+"/enroll/any"))
}

// BenchmarkServerIdle is an idle connection whose message was made before, so that what remains is the server and the wire.
func BenchmarkServerIdle(b *testing.B) {
	w := newWorld(b)
	mac, _ := w.enrolled(b, devicesim.Mac("BENCH", 1), nil)
	message := idle(b, mac)
	client := &http.Client{Transport: w.network}
	fatal(b, mac.Idle(b.Context()))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if status, _, err := message.Send(context.Background(), client); status != http.StatusOK || err != nil {
				b.Error(status, err)
			}
		}
	})
}

// BenchmarkDeviceIdle is the device's own share of an idle connection: encoding and signing.
func BenchmarkDeviceIdle(b *testing.B) {
	w := newWorld(b)
	mac, _ := w.enrolled(b, devicesim.Mac("BENCH", 1), nil)
	for b.Loop() {
		idle(b, mac)
	}
}
