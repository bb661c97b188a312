package applepki_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/applepki"
)

// The push service is trusted by who trusts the root, and trusts who has a push certificate.
func TestThePushServiceAndItsClients(t *testing.T) {
	apple, now := newApple(t)
	server, err := apple.ServerPair("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	vendor, vendorKey, err := apple.Vendor(applepki.VendorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, 2048)
	upload, err := apple.SignRequest(vendor, vendorKey, newCSR(t, key, x509.SHA256WithRSA))
	if err != nil {
		t.Fatal(err)
	}
	returned, err := apple.Portal().Create(upload)
	if err != nil {
		t.Fatal(err)
	}
	push, _ := pem.Decode(returned)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(apple.RootPEM())
	for name, c := range map[string]struct {
		client  tls.Certificate
		refused bool
	}{
		"with a push certificate":   {client: tls.Certificate{Certificate: [][]byte{push.Bytes}, PrivateKey: key}},
		"with a vendor certificate": {client: tls.Certificate{Certificate: [][]byte{vendor.Raw}, PrivateKey: vendorKey}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			clock := func() time.Time { return now }
			err := handshake(t, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: apple.Pool(), Time: clock},
				&tls.Config{Certificates: []tls.Certificate{c.client}, RootCAs: roots, ServerName: "127.0.0.1", Time: clock})
			if (err != nil) != c.refused {
				t.Error(err)
			}
		})
	}
}

// handshake returns the server's error, or the client's.
func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	near, far := net.Pipe()
	done := make(chan error, 1)
	go func() {
		defer near.Close()
		conn := tls.Client(near, client)
		if err := conn.HandshakeContext(ctx); err != nil {
			done <- err
			return
		}
		_, err := io.Copy(io.Discard, conn)
		done <- err
	}()
	conn := tls.Server(far, server)
	err := conn.HandshakeContext(ctx)
	_ = conn.Close()
	if other := <-done; err == nil {
		err = other
	}
	return err
}
