package store_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/store"
)

// A store is opened alone only if no server has it open, even one that does nothing, and never made.
func TestOpenSQLiteAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mdm.db")
	if s, err := store.OpenSQLiteAlone(t.Context(), path); err == nil {
		t.Fatalf("a store that is not there was opened: %v", s.Close())
	}
	server, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := store.OpenSQLiteAlone(t.Context(), path); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a store that a server has open was opened: %v, %v", s, err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenSQLiteAlone(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
