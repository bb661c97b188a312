package devicesim_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// clock hands each pause that is asked for to the test, which ends it.
type clock struct {
	pauses chan time.Duration
	alarm  chan time.Time
}

func newClock() clock {
	return clock{pauses: make(chan time.Duration, 16), alarm: make(chan time.Time)}
}

func (c clock) after(pause time.Duration) <-chan time.Time {
	c.pauses <- pause
	return c.alarm
}

// connections counts the device's connections.
func connections(o *devicesim.Options) <-chan devicesim.Event {
	events := make(chan devicesim.Event, 64)
	o.OnEvent = func(e devicesim.Event) {
		if e.Kind == devicesim.EventConnected || e.Kind == devicesim.EventFailed {
			events <- e
		}
	}
	return events
}

func runs(t *testing.T, device *devicesim.Device) (wait func() error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- device.Run(ctx) }()
	t.Cleanup(stop)
	return func() error { return <-done }
}

func TestRunConnectsAtPushes(t *testing.T) {
	s := newServer(t)
	pushes := devicesim.NewPushes()
	var events <-chan devicesim.Event
	mac := enrolled(t, s, func(o *devicesim.Options) {
		o.Waker = pushes
		events = connections(o)
	})
	wait := runs(t, mac)
	if e := <-events; e.Kind != devicesim.EventConnected {
		t.Fatal(e)
	}
	pushes.Push(mac.Channel().PushToken(), "wrong magic")
	if e := <-events; e.Kind != devicesim.EventFailed {
		t.Fatalf("a push with the wrong magic: %v", e)
	}
	pushes.Push(mac.Channel().PushToken(), mac.Channel().PushMagic())
	if e := <-events; e.Kind != devicesim.EventConnected {
		t.Fatal(e)
	}
	s.enqueue(mac.Hardware().UDID, "EraseDevice", map[string]any{"PIN": "123456"})
	pushes.Push(mac.Channel().PushToken(), mac.Channel().PushMagic())
	if err := wait(); !errors.Is(err, devicesim.ErrNotEnrolled) {
		t.Errorf("erased: %v", err)
	}
}

func TestOnlyTheLastPushIsKept(t *testing.T) {
	pushes := devicesim.NewPushes()
	pushes.Push([]byte{1}, "first")
	pushes.Push([]byte{1}, "second")
	pushes.Push([]byte{2}, "other")
	if magic, err := pushes.Wait(t.Context(), []byte{1}); magic != "second" || err != nil {
		t.Errorf("got %q, %v", magic, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if magic, err := pushes.Wait(ctx, []byte{1}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %q again", magic)
	}
}

func TestRunPollsAndRetries(t *testing.T) {
	s := newServer(t)
	clock := newClock()
	var events <-chan devicesim.Event
	mac := enrolled(t, s, func(o *devicesim.Options) {
		o.PollInterval, o.RetryInterval, o.After = time.Hour, time.Minute, clock.after
		events = connections(o)
	})
	mac.Script(devicesim.Rule{Times: 1, Do: devicesim.AnswerNotNow}, devicesim.Rule{Times: 1, Do: devicesim.Crash})
	s.enqueue(mac.Hardware().UDID, "RestartDevice", nil)
	runs(t, mac)
	for _, want := range []time.Duration{time.Minute, time.Minute, time.Hour} { // NotNow, crash, done
		if e := <-events; e.Kind != devicesim.EventConnected {
			t.Fatal(e)
		}
		if pause := <-clock.pauses; pause != want {
			t.Fatalf("pauses %v, want %v", pause, want)
		}
		select { // a crash is an event too
		case <-events:
		default:
		}
		clock.alarm <- time.Time{}
	}
	<-events
	if mac.Restarts() != 2 {
		t.Errorf("restarted %d times: a crash after running runs it again", mac.Restarts())
	}
}

func TestControl(t *testing.T) {
	var asked atomic.Int32
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/base/control/wait" || r.URL.Query().Get("token") != "0aff" || r.URL.Query().Get("timeout") == "" {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	defer endpoint.Close()
	control, err := devicesim.NewControl(endpoint.URL + "/base")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.Wait(t.Context(), []byte{0x0a, 0xff}); err != nil || asked.Load() != 3 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
	status := new(devicesim.StatusError)
	if _, err := control.Wait(t.Context(), []byte{1}); !errors.As(err, &status) || status.Code != http.StatusBadRequest {
		t.Errorf("a refusal: %v", err)
	}
	if _, err := devicesim.NewControl("apnsfake"); err == nil {
		t.Error("not a URL, but taken")
	}
}

func TestFleet(t *testing.T) {
	s := newServer(t)
	client := devicesim.NewClient(s.roots())
	fleet, err := devicesim.NewFleet(20, func(index int) devicesim.Options {
		return devicesim.Options{Hardware: devicesim.Mac("FLEET", index), Client: client, Key: keys.Key, After: atOnce}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fleet.Enroll(t.Context(), 4, s.URL+"/enroll"); err != nil {
		t.Fatal(err)
	}
	for _, device := range fleet.Devices[:5] {
		s.enqueue(device.Hardware().UDID, "InstallProfile", map[string]any{"Payload": mobileconfig("dock")})
	}
	fleet.Devices[0].Script(devicesim.Rule{Do: devicesim.AnswerError})
	if err := fleet.Idle(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	counts := fleet.Counts()
	if counts.Enrolled != 20 || counts.Installed["dock"] != 4 || counts.Answers["Acknowledged"] != 4 || counts.Answers["Error"] != 1 {
		t.Errorf("counts: %+v", counts)
	}
	fleet.Devices[7].PowerOff()
	if err := fleet.Idle(t.Context(), 4); !errors.Is(err, devicesim.ErrPoweredOff) {
		t.Errorf("with one off: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := fleet.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("run: %v", err)
	}
}

func TestFlakyNetwork(t *testing.T) {
	s := newServer(t)
	network := &devicesim.Network{Next: devicesim.NewClient(s.roots()).Transport}
	mac := enrolled(t, s, func(o *devicesim.Options) { o.Client = &http.Client{Transport: network} })
	network.LoseEvery(3, devicesim.LoseReply)
	var failed int
	for range 9 {
		if err := mac.Idle(t.Context()); errors.Is(err, devicesim.ErrNetwork) {
			failed++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if failed != 3 || len(s.messages) != 2+9 {
		t.Errorf("%d of 9 failed, and the server heard %d messages", failed, len(s.messages))
	}
}

func TestNumberedHardware(t *testing.T) {
	first, again, second := devicesim.Mac("SIM", 1), devicesim.Mac("SIM", 1), devicesim.Mac("SIM", 2)
	if first != again || first.UDID == second.UDID || first.SerialNumber != "SIM000000001" || second.SerialNumber != "SIM000000002" {
		t.Errorf("%+v %+v %+v", first, again, second)
	}
	if phone := devicesim.IPhone("SIM", 1); phone.UDID == first.UDID || phone.Kind != devicesim.KindIPhone {
		t.Errorf("%+v", phone)
	}
	if _, err := devicesim.New(devicesim.Options{}); err == nil {
		t.Error("made a device that is nothing")
	}
}
