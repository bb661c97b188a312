package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/micromdm/nanomdm/storage/pgsql"

	"github.com/kubemdm/kubemdm/test/pki"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const (
	scepHost = "scep.example.test"
	secret   = "bench" // of NanoMDM's API and of scepserver's challenge
)

// peer is NanoMDM on PostgreSQL, with scepserver.
type peer struct {
	*load
	ca                     *pki.CA
	db                     *cluster
	nanomdm, scep          *process
	address, scepAddress   string
	depot, tlsCert, tlsKey string
	api                    *http.Client
	number                 int
	// plain runs NanoMDM's own command, which has no TLS.
	plain bool
}

func (h *harness) newPeer() *peer {
	p := &peer{load: h.newLoad("peer"), ca: pki.NewCA(h, "web"), db: h.newCluster(), address: h.freeAddress(), scepAddress: h.freeAddress()}
	p.db.database("nanomdm")
	p.db.Exec("nanomdm", pgsql.Schema)
	dir := h.TempDir()
	p.depot, p.tlsCert, p.tlsKey = filepath.Join(dir, "depot"), filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	cert, key := pki.PEM(h, p.ca.Issue(h, pki.Leaf{CN: serverfiles.Host, Names: []string{serverfiles.Host, scepHost}}))
	h.must(os.WriteFile(p.tlsCert, cert, 0o600))
	h.must(os.WriteFile(p.tlsKey, key, 0o600))
	// A key of the size that our CA has; its default of 4096 bits would cost it a multiple.
	if out, err := exec.CommandContext(h.ctx, h.program("plain/scepserver"), "ca", "-init", "-keySize", "2048", "-depot", p.depot).CombinedOutput(); err != nil {
		h.Fatalf("making the CA of scepserver: %v\n%s", err, out)
	}
	p.api = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.ca.Pool()},
		MaxIdleConnsPerHost: enrolling, MaxConnsPerHost: enrolling,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.address)
		},
	}}
	return p
}

func (p *peer) start() {
	program, args := "nanomdm", []string{"-tls-cert", p.tlsCert, "-tls-key", p.tlsKey}
	if p.plain {
		program, args = "plain/nanomdm", []string{"-storage", "pgsql"}
	}
	args = append(args, "-listen", p.address, "-storage-dsn", p.db.DSN("nanomdm"), "-ca", filepath.Join(p.depot, "ca.pem"), "-api", secret)
	p.nanomdm = p.spawn("nanomdm", exec.CommandContext(p.ctx, p.program(program), args...))
	p.scep = p.spawn("scepserver", exec.CommandContext(p.ctx, p.program("scepserver"),
		"-listen", p.scepAddress, "-depot", p.depot, "-challenge", secret, "-tls-cert", p.tlsCert, "-tls-key", p.tlsKey))
	p.await(p.nanomdm, "NanoMDM", 5*time.Millisecond, func(ctx context.Context) bool { return accepts(ctx, p.address) })
	p.await(p.scep, "scepserver", 5*time.Millisecond, func(ctx context.Context) bool { return accepts(ctx, p.scepAddress) })
	p.api.CloseIdleConnections()
	p.do("Connect", Setup{CA: p.ca.Cert.Raw, Plain: p.plain, Hosts: map[string]string{serverfiles.Host: p.address, scepHost: p.scepAddress}})
}

func (p *peer) stop() {
	p.nanomdm.stop()
	p.scep.stop()
}

func (p *peer) pid() int { return p.nanomdm.cmd.Process.Pid }

func (p *peer) devices() *load { return p.load }

func (p *peer) mark() {}

func (p *peer) cpu() (server, database time.Duration) {
	return p.harness.cpu(p.nanomdm) + p.harness.cpu(p.scep), p.db.cpu()
}

func (p *peer) prepare(count int) {
	p.load.prepare(Enrolment{Count: count, Profile: enrolmentProfile()})
}

// queue asks for a command of each device by itself.
func (p *peer) queue() {
	group, ctx := errgroup.WithContext(p.ctx)
	group.SetLimit(enrolling)
	for _, udid := range p.udids {
		group.Go(func() error { return p.enqueue(ctx, udid, deviceInformation()) })
	}
	p.must(group.Wait())
}

func (p *peer) assign() {}

// rollout queues one command for all devices.
func (p *peer) rollout() {
	p.number++
	p.must(p.enqueue(p.ctx, strings.Join(p.udids, ","), installProfile(wifi(p.number))))
}

func (p *peer) enqueue(ctx context.Context, ids string, command []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://"+serverfiles.Host+"/v1/enqueue/"+ids+"?nopush=1", bytes.NewReader(command))
	if err != nil {
		return err
	}
	r.SetBasicAuth("nanomdm", secret)
	res, err := p.api.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		return fmt.Errorf("NanoMDM's API: %s: %s", res.Status, answer)
	}
	return err
}

// newUUID names a command.
func newUUID() string { return strings.ToUpper(uuid.NewString()) }
