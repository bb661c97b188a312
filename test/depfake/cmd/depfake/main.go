// Command depfake runs the stand-in for Apple's service for Automated Device Enrollment in a pod.
package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/test/depfake"
)

// version is set by the linker.
var version = "dev"

type options struct {
	listen, control, tlsDir string
	names                   []string
	fake                    depfake.Options
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
		Use:   "depfake",
		Short: "A strict stand-in for Apple's service for Automated Device Enrollment, for tests and demos",
		Long: `A strict stand-in for Apple's service for Automated Device Enrollment, for tests and demos.

The service is at --listen (HTTPS). With --tls-dir its certificate is tls.crt and tls.key of that folder and its CA ca.crt, as in a Secret of
cert-manager; without it both are made anew for --names. It keeps everything in memory: a restart begins without devices and with another token.

What Apple's portal, its activation and a test do is at --control (HTTP, nobody is asked who they are):
  GET    /ca.pem             the CA that the service's certificate is of
` + depfake.Usage,
		Example: `  depfake --listen :8443 --control :8080 --names depfake,depfake.demo.svc
  curl --data-binary @public-key.pem http://localhost:8080/upload > token.p7m
  curl --data '[{"serial_number": "C02ADE000001", "asset_tag": "A-1"}]' http://localhost:8080/devices
  curl http://localhost:8080/activation/C02ADE000001`,
		Version:      version,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE:         func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), cmd.OutOrStdout(), o) },
	}
	flags := c.Flags()
	flags.StringVar(&o.listen, "listen", ":8443", "address of the service (HTTPS)")
	flags.StringVar(&o.control, "control", ":8080", "address of the control endpoint (HTTP)")
	flags.StringVar(&o.tlsDir, "tls-dir", "", "folder with tls.crt, tls.key and ca.crt")
	flags.StringSliceVar(&o.names, "names", []string{"localhost", "127.0.0.1", "depfake"}, "DNS names and IP addresses of the service")
	flags.StringVar(&o.fake.Organization, "organization", "Example Inc.", "name of the organisation")
	flags.StringVar(&o.fake.ServerName, "server-name", "KubeMDM", "name of the server in the portal")
	flags.IntVar(&o.fake.PageSize, "page-size", 0, "most devices in a page, 0: what the client asks for")
	flags.DurationVar(&o.fake.TokenLife, "token-life", 365*24*time.Hour, "how long a token is good")
	flags.IntVar(&o.fake.Rotate, "rotate", 8, "after how many answers, on average, a session gets a new token; -1: never")
	flags.IntVar(&o.fake.Duplicate, "duplicate", 8, "of how many events, on average, one is there twice; -1: none")
	return c
}

func run(ctx context.Context, out io.Writer, o options) error {
	fake, err := depfake.New(o.fake)
	if err != nil {
		return err
	}
	ca, cert, err := certificates(o)
	if err != nil {
		return err
	}
	service, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	controlListener, err := net.Listen("tcp", o.control)
	if err != nil {
		return errors.Join(err, service.Close())
	}
	fmt.Fprintf(out, "service https://%s\ncontrol http://%s\n", address(service), address(controlListener))
	mux := http.NewServeMux()
	mux.Handle("/", fake.Control())
	mux.HandleFunc("GET /ca.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(ca) // the client may be gone
	})
	control := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(control.Serve(controlListener)) }()
	defer control.Close()
	if err := fake.Serve(ctx, service, cert); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// address is where a listener is heard; one of all addresses is named as localhost.
func address(l net.Listener) string {
	host, port, _ := net.SplitHostPort(l.Addr().String()) // as net writes it
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(cmp.Or(host, "localhost"), port)
}

func certificates(o options) (ca []byte, cert tls.Certificate, err error) {
	if o.tlsDir == "" {
		return depfake.Certificates(o.names...)
	}
	if cert, err = tls.LoadX509KeyPair(filepath.Join(o.tlsDir, "tls.crt"), filepath.Join(o.tlsDir, "tls.key")); err != nil {
		return nil, cert, err
	}
	ca, err = os.ReadFile(filepath.Join(o.tlsDir, "ca.crt"))
	if err == nil && !strings.Contains(string(ca), "-----BEGIN CERTIFICATE-----") {
		err = fmt.Errorf("%s/ca.crt holds no PEM certificate", o.tlsDir)
	}
	return ca, cert, err
}
