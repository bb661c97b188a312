// Command apnsfake runs the stand-in for Apple's push service in a pod.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/test/apnsfake"
)

// version is set by the linker.
var version = "dev"

type options struct {
	certDir, listen, control string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}

func command() *cobra.Command {
	o := options{}
	c := &cobra.Command{
		Use:   "apnsfake",
		Short: "A strict stand-in for Apple's push service, for tests and demos",
		Long: `A strict stand-in for Apple's push service, for tests and demos.

The folder of --certs holds tls.crt and tls.key of this server and, in ca.crt, the CA of the push certificates it takes.
Simulated devices wait for their pushes at http://CONTROL/control/wait?token=HEX&timeout=30s.`,
		Example:       "  apnsfake --certs /etc/apnsfake --listen :8443 --control :8080",
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE:          func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	c.Flags().StringVar(&o.certDir, "certs", "/etc/apnsfake", "folder with tls.crt, tls.key and ca.crt")
	c.Flags().StringVar(&o.listen, "listen", ":8443", "address of the push service (HTTP/2 over TLS)")
	c.Flags().StringVar(&o.control, "control", ":8080", "address where simulated devices wait for their pushes (HTTP)")
	return c
}

func run(ctx context.Context, o options) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(o.certDir, "tls.crt"), filepath.Join(o.certDir, "tls.key"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(o.certDir, "ca.crt"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return fmt.Errorf("%s/ca.crt holds no PEM certificate", o.certDir)
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	fake := apnsfake.New(pool)
	control := &http.Server{Addr: o.control, Handler: fake.Control(), ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(control.ListenAndServe()) }()
	defer control.Close()
	if err := fake.Serve(ctx, l, cert); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
