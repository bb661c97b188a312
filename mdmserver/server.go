package mdmserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/admin"
	"github.com/kubemdm/kubemdm/mdmserver/apple"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/metrics"
	"github.com/kubemdm/kubemdm/mdmserver/push"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
	"github.com/kubemdm/kubemdm/mdmserver/store"
)

const (
	sweepEvery = time.Minute
	flushEvery = 30 * time.Second
	// drainTimeout bounds the answers to requests that are under way when the server stops. It is below the 30 s that kubelet gives a pod.
	drainTimeout = 20 * time.Second
)

// Server is a protocol server whose listeners are bound.
type Server struct {
	cfg      serverconfig.Config
	log      *slog.Logger
	version  string
	creds    *config.Credentials
	store    *reachedStore
	fleet    *fleet.Fleet
	pusher   *push.Pusher // nil without Apple devices
	metrics  *metrics.Metrics
	devices  *listener
	admin    *listener
	health   *listener
	stopping chan struct{}
}

// Run starts a server and serves until ctx ends. It returns nil after a graceful stop.
func Run(ctx context.Context, cfg serverconfig.Config, log *slog.Logger, version string) error {
	s, err := Start(ctx, cfg, log, version)
	if err != nil {
		return err
	}
	return s.Serve(ctx)
}

// Start reads the credentials, opens the store and binds the listeners. Whoever calls it calls Serve next, which closes all of them. A PostgreSQL that
// is away is no error: Serve goes on trying, and what needs the store is refused until then.
func Start(ctx context.Context, cfg serverconfig.Config, log *slog.Logger, version string) (*Server, error) {
	creds, err := config.Open(cfg, log, time.Now)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: log, version: version, creds: creds, metrics: metrics.New(version), stopping: make(chan struct{})}
	s.store = newReachedStore(s.metrics.StoreError)
	if err := s.openStore(ctx); err != nil && cfg.Store.Postgres == nil {
		return nil, err
	}
	if err := s.compose(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.metrics.Watch(s)
	return s, nil
}

// openStore opens the store, or notes why it cannot be.
func (s *Server) openStore(ctx context.Context) error {
	var opened *store.Store
	var err error
	if s.cfg.Store.Postgres != nil {
		opened, err = store.OpenPostgres(ctx, store.PostgresOptions{
			Connection: s.creds.Database, Changed: s.creds.DatabaseChanged,
			MaxConnections: s.cfg.Store.Postgres.MaxConnections, Server: s.cfg.Namespace + "/" + s.cfg.Name,
		})
	} else {
		opened, err = store.OpenSQLite(ctx, s.cfg.Store.SQLite.Path)
	}
	return s.store.open(opened, err)
}

// reachStore opens the store if Start could not, and passes on what it announces.
func (s *Server) reachStore(ctx context.Context) {
	for !s.store.isOpen() {
		err := s.openStore(ctx)
		if err == nil {
			break
		}
		if ctx.Err() == nil {
			s.log.Error("the store cannot be opened; what needs it is refused until then", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(openAgain):
		}
	}
	s.store.forward(ctx)
}

// compose joins the rooms over the store.
func (s *Server) compose() error {
	options := fleet.Options{Sealer: seal.New(s.creds.Sealing), SilentAfter: time.Duration(s.cfg.SilentAfter), Log: s.log}
	var macs *apple.Apple
	var encoder fleet.Encoder // stays nil where no Apple device is given anything
	var err error
	if s.cfg.Apple != nil {
		if macs, err = s.newApple(); err != nil {
			return err
		}
		encoder, options.RenewBefore, options.Imports = macs, time.Duration(s.cfg.Apple.Identity.RenewBefore), s.imports()
	}
	if s.cfg.Windows != nil {
		options.VerifyEvery = time.Duration(s.cfg.Windows.VerifyEvery)
	}
	if s.fleet, err = fleet.New(s.store, encoder, options); err != nil {
		return err
	}
	devices := http.NewServeMux()
	if macs != nil {
		err = s.serveApple(devices, macs)
	}
	if s.cfg.Windows != nil && err == nil {
		err = s.serveWindows(devices)
	}
	if err == nil {
		err = s.servePage(devices, macs)
	}
	if err != nil {
		return err
	}
	internal := admin.New(admin.Options{Fleet: s.fleet, Info: s.info, Stopping: s.stopping, Log: s.log})
	return s.listen(devices, internal)
}

// Addresses are those that the listeners are bound to.
type Addresses struct{ Devices, Admin, Health net.Addr }

// Addresses returns where the server listens.
func (s *Server) Addresses() Addresses {
	return Addresses{Devices: s.devices.Addr(), Admin: s.admin.Addr(), Health: s.health.Addr()}
}

// Serve answers until ctx ends or a listener fails. Then it ends the long polls, lets requests finish, stores what is still in memory and closes
// the store.
func (s *Server) Serve(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	var work sync.WaitGroup
	for _, l := range s.listeners() {
		work.Go(func() {
			if err := l.serve(); err != nil {
				fail(fmt.Errorf("serving on the %s listener: %w", l.name, err))
			}
		})
	}
	work.Go(func() { s.creds.Watch(ctx, hangups) })
	work.Go(func() { s.reachStore(ctx) })
	work.Go(func() { s.fleet.Run(ctx) })
	if s.pusher != nil {
		work.Go(func() { s.pusher.Run(ctx) })
	}
	if s.cfg.Windows != nil {
		work.Go(func() { s.fleet.RunAgents(ctx) })
	}
	work.Go(func() { s.every(ctx, sweepEvery, "sweeping", s.fleet.Sweep) })
	work.Go(func() { s.every(ctx, flushEvery, "storing when devices were seen", s.fleet.FlushSeen) })
	s.log.Info("serving", "version", s.version, "devices", s.devices.Addr().String(), "admin", s.admin.Addr().String(), "health", s.health.Addr().String())

	<-ctx.Done()
	s.log.Info("stopping")
	close(s.stopping)
	s.leave()
	s.drain()
	work.Wait()
	errs := []error{s.fleet.FlushSeen(context.Background()), s.close()}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		errs = append(errs, cause)
	}
	return errors.Join(errs...)
}

// every runs a job from time to time until ctx ends. A failure is logged: the next run makes good for it.
func (s *Server) every(ctx context.Context, period time.Duration, name string, job func(context.Context) error) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := job(ctx); err != nil && ctx.Err() == nil {
			s.log.Error(name+" failed", "error", err)
		}
	}
}

func (s *Server) close() error {
	errs := []error{s.store.Close()}
	for _, l := range s.listeners() {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}
