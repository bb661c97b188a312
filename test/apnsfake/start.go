package apnsfake

import (
	"context"
	"net"
	"testing"

	"github.com/kubemdm/kubemdm/test/pki"
)

// Start runs a fake on a loopback port until the test ends and returns it with its URL. Its server certificate and its clients' ones are of ca.
func Start(t testing.TB, ca *pki.CA) (*Fake, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := New(ca.Pool())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Serve(ctx, l, ca.Issue(t, pki.Leaf{CN: "apns", Names: []string{"127.0.0.1"}})) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return f, "https://" + l.Addr().String()
}
