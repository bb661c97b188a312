package mdmserver_test

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/postgres"
)

// latency is what the slow way to a database adds to each piece of an answer.
const latency = 20 * time.Millisecond

// slowWay passes on what goes to a database and back, late, or not at all while it is held.
type slowWay struct {
	net.Listener
	to   string
	done chan struct{}

	mu   sync.Mutex
	free chan struct{} // closed unless it is held
}

func newSlowWay(t *testing.T, to string) *slowWay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &slowWay{Listener: l, to: to, done: make(chan struct{}), free: make(chan struct{})}
	w.release()
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.carry(from) })
		}
	})
	t.Cleanup(func() {
		close(w.done)
		_ = l.Close()
		running.Wait()
	})
	return w
}

func (w *slowWay) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free = make(chan struct{})
}

func (w *slowWay) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.free)
}

// carry ends when either side does.
func (w *slowWay) carry(from net.Conn) {
	to, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = from.Close()
		return
	}
	end := func() {
		_ = from.Close()
		_ = to.Close()
	}
	var both sync.WaitGroup
	for _, way := range [][2]io.ReadWriter{{to, from}, {late{w, from}, to}} {
		both.Go(func() {
			defer end()
			_, _ = io.Copy(way[0], way[1])
		})
	}
	both.Go(func() {
		<-w.done
		end()
	})
	both.Wait()
}

// late is the way back.
type late struct {
	*slowWay
	io.ReadWriter
}

func (l late) Write(p []byte) (int, error) {
	<-time.After(latency)
	l.mu.Lock()
	free := l.free
	l.mu.Unlock()
	select {
	case <-free:
		return l.ReadWriter.Write(p)
	case <-l.done:
		return 0, net.ErrClosed
	}
}

// A database far away makes all slower and nothing fail. One that stands still makes devices come back later, and passes by itself.
func TestASlowDatabase(t *testing.T) {
	d := newDatabase(t)
	w := onPostgres(t, d)
	way := newSlowWay(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(d.Port())))
	d.at(t, way.Addr().(*net.TCPAddr).Port, "one")
	w.start(t)
	mac, device := w.enrolled(t, 1)
	act := func(name string) error {
		_, err := w.admin.PutAction(t.Context(), adminapi.Action{
			Key: adminapi.Key("fleet/" + name), SpecHash: "1", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation},
			Targets: []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}},
		})
		return err
	}
	run := func(name string) {
		t.Helper()
		if err := act(name); err != nil {
			t.Fatal(err)
		}
		if err := mac.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.await(t, func(c adminapi.Change) bool { return c.Action != nil && c.Action.Counts[adminapi.TargetSucceeded] == 1 })
	}
	run("late")

	way.hold()
	wantRetry(t, mac.Idle(t.Context()))
	postgres.Eventually(t, "the server to say what is wrong", func(ctx context.Context) bool {
		info, err := w.admin.Info(ctx)
		return err == nil && (info.Store.Reason == "DatabaseSlow" || info.Store.Reason == "DatabaseUnreachable")
	})
	way.release()
	run("later")
	w.eventually(t, "")
	if !mac.Enrolled() {
		t.Error("the device has left management")
	}
}

// A database that takes no writes serves devices for which there is nothing to do.
func TestAReadOnlyDatabase(t *testing.T) {
	d := newDatabase(t)
	w := onPostgres(t, d)
	w.start(t)
	mac, _ := w.enrolled(t, 1)
	token := w.token(t, "fleet/token")
	d.Exec(d.name, "ALTER ROLE "+role+" SET default_transaction_read_only = on")
	d.hangUp()
	postgres.Eventually(t, "an idle device to be served", func(ctx context.Context) bool { return mac.Idle(ctx) == nil })
	wantRetry(t, w.mac(t, 2).Enroll(t.Context(), token))
	w.eventually(t, "ReadOnly")
	if err := mac.Idle(t.Context()); err != nil {
		t.Errorf("an idle device hears %v", err)
	}
	d.Exec(d.name, "ALTER ROLE "+role+" RESET default_transaction_read_only")
	d.hangUp()
	postgres.Eventually(t, "a device to enrol", func(ctx context.Context) bool { return w.mac(t, 2).Enroll(ctx, token) == nil })
	w.eventually(t, "")
	if !mac.Enrolled() {
		t.Error("the device has left management")
	}
}
