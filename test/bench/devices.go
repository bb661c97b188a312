package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const (
	requestTimeout = time.Minute
	// enrolling is how many devices enrol, or answer commands, at the same time.
	enrolling = 4
	// stride is how far the numbers of requests of two loads are apart.
	stride = 1 << 20
)

// Devices are all devices of one server. They live in a process of their own (net/rpc over its standard input and output), whose time of processors is no
// part of what is measured.
type Devices struct {
	setup    Setup
	roots    *x509.CertPool
	keys     *devicesim.KeyPool
	client   *http.Client
	made     int
	prepared []newcomer
	enrolled devicesim.Fleet
	idle     []request
	pcs      []*windows.PC
	lanes    []*lane
	rounds   int
}

// Setup says where the servers are.
type Setup struct {
	// Hosts are the addresses by host name, CA the DER certificate of who vouches for them.
	Hosts map[string]string
	CA    []byte
	// Plain is HTTP without TLS, for lanes.
	Plain bool
}

// Nothing stands where a call has no argument or no answer.
type Nothing struct{}

func (d *Devices) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, d.setup.Hosts[host])
}

// Connect ends all connections and takes the servers of a new setup.
func (d *Devices) Connect(s Setup, _ *Nothing) error {
	d.closeLanes()
	d.setup = s
	if d.client == nil {
		ca, err := x509.ParseCertificate(s.CA)
		if err != nil {
			return err
		}
		d.roots = x509.NewCertPool()
		d.roots.AddCert(ca)
		d.keys = devicesim.NewKeyPool(4)
		d.client = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.roots}, DialContext: d.dial, MaxIdleConnsPerHost: enrolling, MaxConnsPerHost: enrolling,
		}}
	}
	d.client.CloseIdleConnections()
	return nil
}

func (d *Devices) closeLanes() {
	for _, l := range d.lanes {
		_ = l.conn.Close() // its server may be gone
	}
	d.lanes = nil
}

// serialNumber stands in a profile where each device has its own.
const serialNumber = "{serialNumber}"

// Enrolment makes devices. They get the profile from the URL, or all have this one.
type Enrolment struct {
	Count   int
	URL     string
	Profile []byte
}

// newcomer is a device that has its enrolment profile in hand.
type newcomer struct {
	*devicesim.Device
	profile *devicesim.EnrollmentProfile
}

// Prepare makes devices that have their profiles in hand, and returns their UDIDs.
func (d *Devices) Prepare(e Enrolment, udids *[]string) error {
	d.prepared = make([]newcomer, e.Count)
	for i := range d.prepared {
		d.made++
		device, err := devicesim.New(devicesim.Options{Hardware: devicesim.Mac("BENCH", d.made), Client: d.client, Roots: d.roots, Key: d.keys.Key})
		if err != nil {
			return err
		}
		d.prepared[i].Device = device
		*udids = append(*udids, device.Hardware().UDID)
	}
	return d.each(func(ctx context.Context, n *newcomer) (err error) {
		n.profile, err = e.profile(ctx, n.Device)
		return err
	})
}

// each calls do for the prepared devices, some at a time.
func (d *Devices) each(do func(context.Context, *newcomer) error) error {
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(enrolling)
	for i := range d.prepared {
		group.Go(func() error { return do(ctx, &d.prepared[i]) })
	}
	return group.Wait()
}

func (e *Enrolment) profile(ctx context.Context, device *devicesim.Device) (*devicesim.EnrollmentProfile, error) {
	if e.URL != "" {
		return device.FetchEnrollment(ctx, e.URL)
	}
	own := bytes.ReplaceAll(e.Profile, []byte(serialNumber), []byte(device.Hardware().SerialNumber))
	profile, err := devicesim.ParseProfile(own, nil)
	if err != nil {
		return nil, err
	}
	return devicesim.ParseEnrollment(profile)
}

// Install enrols the prepared devices: SCEP, Authenticate, TokenUpdate.
func (d *Devices) Install(_ Nothing, done *Done) (err error) {
	*done, err = measured(func() (int, error) {
		return len(d.prepared), d.each(func(ctx context.Context, n *newcomer) error { return n.InstallEnrollment(ctx, n.profile) })
	})
	return err
}

// Keep makes the installed devices part of the fleet once they have answered what a server asks a new device, and signs the message with which each asks
// for work.
func (d *Devices) Keep(_ Nothing, _ *Nothing) error {
	if err := d.each(func(ctx context.Context, n *newcomer) error { return n.Idle(ctx) }); err != nil {
		return err
	}
	for _, n := range d.prepared {
		raw, err := idleMessage(n.Device)
		if err != nil {
			return err
		}
		d.idle = append(d.idle, func(int) []byte { return raw })
		d.enrolled.Devices = append(d.enrolled.Devices, n.Device)
	}
	return nil
}

func idleMessage(device *devicesim.Device) ([]byte, error) {
	message, err := device.PrepareIdle()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(message.URL)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {message.ContentType}, "Mdm-Signature": {message.Signature}, "User-Agent": {"MDM/1.0"}}
	return rawRequest(http.MethodPut, u.Host, u.RequestURI(), header, message.Body), nil
}

// Open opens as many lanes for idle check-ins, which share the fleet.
func (d *Devices) Open(count int, _ *Nothing) error {
	d.closeLanes()
	for i := range count {
		var share []request
		for n := i; n < len(d.idle); n += count {
			share = append(share, d.idle[n])
		}
		if err := d.open(serverfiles.Host, nil, "", share...); err != nil {
			return err
		}
	}
	return nil
}

func (d *Devices) open(host string, cert *tls.Certificate, want string, requests ...request) error {
	conn, err := d.handshake(host, cert)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", host, err)
	}
	d.lanes = append(d.lanes, &lane{conn: conn, reader: bufio.NewReader(conn), requests: requests, want: want})
	return nil
}

// Drive sends over all lanes for a time.
func (d *Devices) Drive(span time.Duration, done *Done) (err error) {
	d.rounds++
	*done, err = measured(func() (int, error) { return drive(d.lanes, d.rounds*stride, span) })
	return err
}

// Connections is a connection of each device, which runs all commands that wait for it. Each must have run as many.
func (d *Devices) Connections(commands int, done *Done) (err error) {
	count := func() (n int) {
		for _, device := range d.enrolled.Devices {
			n += len(device.Answers())
		}
		return n
	}
	before := count()
	*done, err = measured(func() (int, error) { return len(d.enrolled.Devices), d.enrolled.Idle(context.Background(), enrolling) })
	if got, want := count()-before, commands*len(d.enrolled.Devices); err == nil && got != want {
		return fmt.Errorf("the devices ran %d commands, not %d", got, want)
	}
	return err
}
