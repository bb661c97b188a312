package cputime

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Load is what a client sends, by HTTP/2 where the server takes it.
type Load struct {
	Method, URL string
	Header      http.Header
	// Address is where the server of URL listens, and CA, in PEM, who vouches for it.
	Address string
	CA      []byte
	// Reconnect makes a connection for each request; otherwise there is one for each sender, which stays open.
	Reconnect bool
	Senders   []Sender
	// Want is a part of each answer, which is a 200.
	Want string
}

// Sender sends one request after the other. Senders work at the same time.
type Sender struct {
	// Body holds Number, if at all, where each request has a number of its own in hexadecimal digits.
	Body string
	// Cert and Key, in PEM, are for a server that asks for a certificate; empty: none.
	Cert, Key []byte
}

// Number is a place in a Sender's Body.
const Number = "{number}"

// clientVariable tells a test binary that it is a client.
const clientVariable = "CPUTIME_CLIENT"

// Main is the TestMain of packages that measure a Load: their binary is the client too.
func Main(m *testing.M) {
	if os.Getenv(clientVariable) == "" {
		m.Run()
		return
	}
	if err := beClient(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// ServerPerSecond reports as PerSecond does how many answers to a load one second of a processor is good for. The load comes from a process of its own, so
// only the server's half counts. Connections that stay open are made beforehand.
func ServerPerSecond(b *testing.B, unit string, load Load) {
	b.Helper()
	binary, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	client := exec.CommandContext(b.Context(), binary)
	client.Env = append(os.Environ(), clientVariable+"=1")
	client.Stderr = b.Output()
	orders, err1 := client.StdinPipe()
	reports, err2 := client.StdoutPipe()
	if err := errors.Join(err1, err2, client.Start(), json.NewEncoder(orders).Encode(load)); err != nil {
		b.Fatal(err)
	}
	send := func(requests int) {
		fmt.Fprintln(orders, requests)
		if n, err := fmt.Fscan(reports, new(int)); n != 1 {
			b.Errorf("the client: %v", err)
		}
	}
	send(len(load.Senders))
	b.ResetTimer()
	PerSecond(b, unit, func() { send(b.N) })
	b.StopTimer()
	if err := errors.Join(orders.Close(), client.Wait()); err != nil {
		b.Fatal(err)
	}
}

// beClient takes a Load, and then numbers of requests to send, each of which it reports back when it is done. It ends with whoever gives the orders.
func beClient(orders io.Reader, reports io.Writer) error {
	var load Load
	in := json.NewDecoder(orders)
	if err := in.Decode(&load); err != nil {
		return err
	}
	clients := make([]*http.Client, len(load.Senders))
	for i, sender := range load.Senders {
		var err error
		if clients[i], err = load.client(sender); err != nil {
			return err
		}
	}
	for number := 0; ; {
		var requests int
		if err := in.Decode(&requests); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := load.send(clients, number, requests); err != nil {
			return err
		}
		number += requests
		fmt.Fprintln(reports, requests)
	}
}

// send has the senders share in so many requests, of which the first has this number.
func (l *Load) send(clients []*http.Client, first, requests int) error {
	ctx, fail := context.WithCancelCause(context.Background())
	defer fail(nil)
	numbers := make(chan int)
	var senders sync.WaitGroup
	for i, client := range clients {
		senders.Go(func() {
			for number := range numbers {
				if err := l.request(ctx, client, strings.ReplaceAll(l.Senders[i].Body, Number, strconv.FormatInt(int64(number), 16))); err != nil {
					fail(err)
				}
			}
		})
	}
	for i := range requests {
		numbers <- first + i
	}
	close(numbers)
	senders.Wait()
	return context.Cause(ctx)
}

func (l *Load) request(ctx context.Context, client *http.Client, body string) error {
	r, err := http.NewRequestWithContext(ctx, l.Method, l.URL, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = l.Header
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(l.Want)) {
		return fmt.Errorf("%s: %s", res.Status, answer)
	}
	return nil
}

func (l *Load) client(s Sender) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM(l.CA) {
		return nil, errors.New("the CA is no PEM certificate")
	}
	if len(s.Cert) > 0 {
		pair, err := tls.X509KeyPair(s.Cert, s.Key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: l.Reconnect,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, l.Address)
		},
	}}, nil
}
