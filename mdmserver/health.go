package mdmserver

import (
	"context"
	"net/http"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// readyTimeout bounds the question to the store.
const readyTimeout = 2 * time.Second

// healthHandler serves /healthz (the process answers), /readyz (the store answers too, and the server is not stopping) and /metrics.
func (s *Server) healthHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.readable(r.Context()); err != nil {
			s.log.Warn("not ready", "error", err)
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
		select {
		case <-s.stopping:
			http.Error(w, "stopping", http.StatusServiceUnavailable)
		default:
		}
	})
	mux.Handle("GET /metrics", s.metrics.Handler())
	return mux
}

// readable reads a row of a store of the server's own, which need not be there. A full disk leaves the server ready: reading goes on, and devices are told
// to come back. So does a database that all replicas share: none would be left to tell it, neither devices nor the manager.
func (s *Server) readable(ctx context.Context) error {
	if s.cfg.Store.Postgres != nil && s.store.isOpen() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return s.store.View(ctx, func(tx fleet.Tx) error {
		_, err := tx.Meta("ready")
		return err
	})
}
