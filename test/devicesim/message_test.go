package devicesim_test

import (
	"crypto/x509/pkix"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/micromdm/plist"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

func TestPreparedIdle(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	idle, err := mac.PrepareIdle()
	if err != nil {
		t.Fatal(err)
	}
	client := devicesim.NewClient(s.roots())
	for range 3 {
		if status, reply, err := idle.Send(t.Context(), client); status != http.StatusOK || len(reply) != 0 || err != nil {
			t.Fatalf("%d %q %v", status, reply, err)
		}
	}
	if heard := s.hears(); heard != "Idle Idle Idle" {
		t.Errorf("heard %q", heard)
	}
}

func TestForgedMessages(t *testing.T) {
	s := newServer(t)
	mac := enrolled(t, s, nil)
	message, err := mac.PrepareCheckIn("CheckOut", map[string]any{"Topic": topic})
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(strings.Replace(string(message.Body), mac.Hardware().UDID, "VICTIM", 1))
	forged, err := message.SignedBy(mac.Identity(), body)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, err := forged.Send(t.Context(), devicesim.NewClient(s.roots())); status != http.StatusOK || err != nil {
		t.Fatal(status, err)
	}
	if m := s.last(t, "CheckOut"); m.UDID != "VICTIM" || !m.signer.Equal(mac.Identity().Certificate) {
		t.Errorf("heard %+v", m)
	}
	stranger, err := devicesim.SelfSigned(mac.Identity().Key, pkix.Name{CommonName: "stranger"})
	if err != nil {
		t.Fatal(err)
	}
	if other, err := message.SignedBy(stranger, body); err != nil || other.Signature == forged.Signature {
		t.Errorf("another identity, the same signature: %v", err)
	}
}

func TestEncodeBinary(t *testing.T) {
	message := map[string]any{
		"MessageType": "Authenticate", "Name": "Grüße", "Token": []byte{1, 2, 3}, "Empty": "", "Yes": true, "No": false,
		"Long": strings.Repeat("x", 300), "Number": 42, "List": []any{"a", map[string]any{"k": "v"}},
	}
	data, err := devicesim.EncodeBinary(message)
	if err != nil {
		t.Fatal(err)
	}
	var decoded map[string]any
	if err := plist.Unmarshal(data, &decoded); err != nil {
		t.Fatal(err)
	}
	message["Number"] = decoded["Number"] // the decoder chooses its own integer type
	if !reflect.DeepEqual(decoded, message) || !reflect.DeepEqual(decoded["Number"], uint64(42)) {
		t.Errorf("got %v, want %v", decoded, message)
	}
	if _, err := devicesim.EncodeBinary(map[string]any{"x": 1.5}); err == nil {
		t.Error("encoded what it does not know")
	}
}

func FuzzParseProfile(f *testing.F) {
	f.Add(mobileconfig("dock"))
	f.Add([]byte("\x30\x80\x06\x09"))
	f.Add([]byte("bplist00"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		p, err := devicesim.ParseProfile(data, nil)
		if err != nil {
			return
		}
		_, _ = p.Anchors()
		_, _ = devicesim.ParseEnrollment(p)
	})
}
