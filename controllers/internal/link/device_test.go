package link_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// full sets every field to something that is not zero and depends on the seed, as it comes over the wire.
func full(v reflect.Value, seed int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(string(rune('a'+seed%26)) + v.Type().Name())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(int64(seed))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		full(v.Index(0), seed)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"team": "design"}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		full(v.Elem(), seed)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1_700_000_000+int64(seed), 123_456_000).UTC()))
			return
		}
		for i := range v.NumField() {
			full(v.Field(i), seed+i)
		}
	default:
		panic("no filling for " + v.Type().String())
	}
}

// The mirror gives back what the server said of a device, but for the time of its last contact, which changes all the time and which nobody asks it for.
func TestMirrorForgetsNothingOfADevice(t *testing.T) {
	f := newFakeServer(t)
	for i := range 3 {
		var d adminapi.Device
		full(reflect.ValueOf(&d).Elem(), i)
		f.devices = append(f.devices, d)
	}
	f.devices = append(f.devices, adminapi.Device{ID: "bare"}, adminapi.Device{ID: "same", UDID: "same"})
	w := watch(t, all, adminapi.KindDevice)
	w.Connect(serverName, f.endpoint)
	receive(t, "connection", w.events)
	s, err := w.Server(serverName)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range f.devices {
		want.LastSeen = time.Time{}
		if got, known := s.Device(want.ID); !known || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}
