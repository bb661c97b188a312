package main

import (
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"time"
)

// devicesCommand is the argument that makes this program the process of the devices.
const devicesCommand = "devices"

// serveDevices ends with whoever gives the orders.
func serveDevices() {
	server := rpc.NewServer()
	if err := server.Register(&Devices{}); err != nil {
		panic(err) // a mistake in the methods of Devices
	}
	server.ServeConn(stdio{os.Stdin, os.Stdout})
}

type stdio struct {
	io.ReadCloser
	io.WriteCloser
}

func (s stdio) Close() error { return s.WriteCloser.Close() }

// load is the process of the devices as the harness sees it.
type load struct {
	*harness
	process *process
	calls   *rpc.Client
	// udids are those of the devices that stay, prepared of those that are about to enrol.
	udids, prepared []string
}

func (h *harness) newLoad(name string) *load {
	self, err := os.Executable()
	h.must(err)
	cmd := exec.Command(self, devicesCommand)
	in, err := cmd.StdinPipe()
	h.must(err)
	out, answers, err := os.Pipe()
	h.must(err)
	cmd.Stdout = answers
	l := &load{harness: h, process: h.spawn(name+"-devices", cmd), calls: rpc.NewClient(stdio{out, in})}
	h.must(answers.Close())
	h.Cleanup(func() { _ = l.calls.Close() })
	return l
}

// call waits for a method of Devices, unless the run ends before.
func (l *load) call(method string, in, out any) {
	select {
	case done := <-l.calls.Go("Devices."+method, in, out, make(chan *rpc.Call, 1)).Done:
		if done.Error != nil {
			l.Fatalf("the devices, at %s: %.2000s: %s", method, done.Error, tail(l.process.log))
		}
	case <-l.ctx.Done():
		l.must(l.ctx.Err())
	}
}

func (l *load) do(method string, in any) { l.call(method, in, new(Nothing)) }

func (l *load) measure(method string, in any) (done Done) {
	l.call(method, in, &done)
	return done
}

// drive is Devices.Drive.
func (l *load) drive(span time.Duration) Done { return l.measure("Drive", span) }

func (l *load) prepare(e Enrolment) {
	l.prepared = nil
	l.call("Prepare", e, &l.prepared)
}

// keep enrols the prepared devices for good.
func (l *load) keep() {
	l.measure("Install", Nothing{})
	l.do("Keep", Nothing{})
	l.udids = append(l.udids, l.prepared...)
}
