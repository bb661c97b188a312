package apple_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// BenchmarkIdle is what the protocol costs for a device that connects and gets nothing: signature, chain, bounds and decoding.
func BenchmarkIdle(b *testing.B) {
	body := report("Idle")
	signature := credentials().device.Sign(b, []byte(body))
	handler := newApple(b, server()).Handler(&fakeFleet{})
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPut, "/apple/command", strings.NewReader(body))
		r.Header.Set(identity.SignatureHeader, signature)
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatalf("status %d", w.Code)
		}
	}
}

// BenchmarkSignedInstall is what a transaction waits for when it delivers a signed profile of 100 KB.
func BenchmarkSignedInstall(b *testing.B) {
	template := []byte(message("PayloadContent", "<data>"+strings.Repeat("QUJD", 25000)+"</data>"))
	a := newApple(b, server())
	for b.Loop() {
		if _, err := a.Encode(fleet.Delivery{Install: &fleet.Install{Template: template, Sign: true}}); err != nil {
			b.Fatal(err)
		}
	}
}
