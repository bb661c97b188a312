package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// request makes the bytes of a request. Those of a load have a number each.
type request func(number int) []byte

// lane sends the requests of some devices in turn over one connection that stays open. It writes bytes that were made before and looks at the answer
// only as far as it must, so that it takes little of the machine.
type lane struct {
	conn     net.Conn
	reader   *bufio.Reader
	requests []request
	// want is a part of each answer; empty: answers have no body.
	want string
}

// rawRequest is a request of HTTP/1.1 as it goes over the wire.
func rawRequest(method, host, path string, header http.Header, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	_ = header.Write(&b) // a buffer takes all
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.Bytes()
}

// handshake opens the connection of a lane, with a certificate if it has one.
func (d *Devices) handshake(host string, cert *tls.Certificate) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.setup.Hosts[host])
	if err != nil || d.setup.Plain {
		return conn, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.roots, ServerName: host, NextProtos: []string{"http/1.1"}}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	secure := tls.Client(conn, config)
	return secure, secure.HandshakeContext(ctx)
}

// errUnavailable is a 503.
var errUnavailable = errors.New("the server answered 503")

func (l *lane) send(number int) error {
	if err := l.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
		return err
	}
	if _, err := l.conn.Write(l.requests[number%len(l.requests)](number)); err != nil {
		return err
	}
	res, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", errUnavailable, body)
	case res.StatusCode != http.StatusOK, l.want == "" && len(body) > 0, !bytes.Contains(body, []byte(l.want)):
		return fmt.Errorf("%s: %s", res.Status, body)
	}
	return nil
}

// Done is what a load came to.
type Done struct {
	Requests int
	Wall     time.Duration
	// CPU is what the load itself used.
	CPU time.Duration
}

// measured counts what do does and what it takes.
func measured(do func() (int, error)) (Done, error) {
	began, used := time.Now(), ownCPU()
	n, err := do()
	return Done{Requests: n, Wall: time.Since(began), CPU: ownCPU() - used}, err
}

func ownCPU() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // it fails for a bad argument only
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// drive has all lanes send until time is over, and each of its requests once at least.
func drive(lanes []*lane, first int, span time.Duration) (int, error) {
	var sent atomic.Int64
	errs := make([]error, len(lanes))
	until := time.Now().Add(span)
	var working sync.WaitGroup
	for i, l := range lanes {
		working.Go(func() {
			for n := 0; errs[i] == nil && (n < len(l.requests) || time.Now().Before(until)); n++ {
				errs[i] = l.send(first + n)
				sent.Add(1)
			}
		})
	}
	working.Wait()
	return int(sent.Load()), errors.Join(errs...)
}
