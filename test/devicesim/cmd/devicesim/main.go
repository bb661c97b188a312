// Command devicesim runs simulated Apple devices and Windows PCs against an MDM server.
package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// version is set by the linker.
var version = "dev"

const (
	// poolKeys are shared by all devices, since making keys is what takes time.
	poolKeys = 4
	// enrolments is how many devices enrol at the same time.
	enrolments = 8
)

type options struct {
	enrollURL, caFile, control string
	kind, serialPrefix         string
	count, first               int
	poll, retry                time.Duration
	verbose                    bool
	automated                  automatedOptions
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
		Use:   "devicesim",
		Short: "Simulated Apple devices that enrol and obey",
		Long: `Simulated Apple devices that enrol and obey.

Each device gets a certificate over SCEP, enrols and then connects at each push and each poll. It tries to enrol until it succeeds.
A line is printed for each thing that happens to a device. The devices run until SIGTERM and keep nothing: the next run enrols
anew, like erased devices, which the server refuses until their old enrolment is released or ended.

With --ade-activation the devices belong to an organisation: they go through Setup Assistant, which asks for their setup-assistant profile until there is one, and
enrol by Automated Device Enrollment. Such a device enrols again when it was erased.`,
		Example: `  devicesim --enroll-url https://mdm.example.com/enroll/TOKEN --ca ca.crt --count 3 \
    --serial-prefix DEMO --push-control http://apnsfake:8080 --poll-interval 1m
  devicesim --ade-activation http://depfake:8080/activation/{serial} --ade-ca-dir /device-ca --ca ca.crt`,
		Version:      version,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE:         func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), cmd.OutOrStdout(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.enrollURL, "enroll-url", "", "URL of the enrolment profile")
	f.StringVar(&o.caFile, "ca", "", "PEM file with the CA of the server; the system's roots are trusted without it")
	f.StringVar(&o.control, "push-control", "", "base URL of apnsfake's control endpoint, where devices wait for pushes")
	f.StringVar(&o.kind, "kind", string(devicesim.KindMac), "what the devices are: Mac, iPhone or iPad")
	f.StringVar(&o.serialPrefix, "serial-prefix", "SIM", "how the serial numbers begin; the device's number follows")
	f.IntVar(&o.count, "count", 1, "number of devices")
	f.IntVar(&o.first, "first", 1, "number of the first device")
	f.DurationVar(&o.poll, "poll-interval", 0, "connect this often without a push; 0 is never")
	f.DurationVar(&o.retry, "retry-interval", 5*time.Second, "wait this long after a failure or NotNow")
	f.BoolVar(&o.verbose, "verbose", false, "also print each connection")
	o.automated.flags(c)
	c.MarkFlagsOneRequired("enroll-url", "ade-activation")
	c.MarkFlagsMutuallyExclusive("enroll-url", "ade-activation")
	c.AddCommand(windowsCommand())
	return c
}

func run(ctx context.Context, out io.Writer, o options) error {
	var erased erasures
	report := erased.watch(printer(out, o.verbose, devicesim.EventConnected))
	enroll, err := o.enroller()
	if err != nil {
		return err
	}
	fleet, err := o.fleet(report)
	if err != nil {
		return err
	}
	slots := make(chan struct{}, enrolments)
	_ = fleet.Each(ctx, max(o.count, 1), func(ctx context.Context, d *devicesim.Device) error {
		for {
			if err := o.insist(ctx, d, slots, enroll, report); err != nil {
				return err
			}
			if err := d.Run(ctx); o.automated.activation == "" || !erased.take(d) {
				return err
			}
		}
	})
	<-ctx.Done() // devices that left management stay as they are
	return nil
}

// enroller returns what enrols a device.
func (o *options) enroller() (func(context.Context, *devicesim.Device) error, error) {
	if o.automated.activation != "" {
		return o.automated.enroller()
	}
	return func(ctx context.Context, d *devicesim.Device) error { return d.Enroll(ctx, o.enrollURL) }, nil
}

// insist tries to enrol a device until it is.
func (o *options) insist(ctx context.Context, d *devicesim.Device, slots chan struct{}, enroll func(context.Context, *devicesim.Device) error,
	report func(devicesim.Event),
) error {
	for !d.Enrolled() {
		slots <- struct{}{}
		err := enroll(ctx, d)
		<-slots
		if err == nil {
			break
		}
		report(devicesim.Event{Serial: d.Hardware().SerialNumber, Kind: devicesim.EventFailed, Detail: "to enrol: " + err.Error()})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(o.retry):
		}
	}
	return nil
}

// fleet makes the devices.
func (o *options) fleet(report func(devicesim.Event)) (*devicesim.Fleet, error) {
	hardware, err := o.hardware()
	if err != nil {
		return nil, err
	}
	roots, err := readRoots(o.caFile)
	if err != nil {
		return nil, err
	}
	var waker devicesim.Waker
	if o.control != "" {
		if waker, err = devicesim.NewControl(o.control); err != nil {
			return nil, err
		}
	}
	client, keys := devicesim.NewClient(roots), devicesim.NewKeyPool(poolKeys)
	return devicesim.NewFleet(o.count, func(index int) devicesim.Options {
		return devicesim.Options{
			Hardware: hardware(o.serialPrefix, o.first+index), Client: client, Roots: roots, Key: keys.Key,
			Waker: waker, PollInterval: o.poll, RetryInterval: o.retry, OnEvent: report,
		}
	})
}

func (o *options) hardware() (func(string, int) devicesim.Hardware, error) {
	switch devicesim.Kind(o.kind) {
	case devicesim.KindMac:
		return devicesim.Mac, nil
	case devicesim.KindIPhone:
		return devicesim.IPhone, nil
	case devicesim.KindIPad:
		return devicesim.IPad, nil
	}
	return nil, fmt.Errorf("--kind %q is none of Mac, iPhone and iPad", o.kind)
}

// readRoots returns the roots in the file of --ca; without one nil, the system's.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading --ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading --ca: %s holds no PEM certificate", file)
	}
	return roots, nil
}

// printer prints events line by line, those of the kind frequent only if all is true.
func printer(out io.Writer, all bool, frequent devicesim.EventKind) func(devicesim.Event) {
	logger := log.New(out, "", log.LstdFlags)
	return func(e devicesim.Event) {
		if all || e.Kind != frequent {
			logger.Println(e)
		}
	}
}
