package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/mdmserver/store/storetest"
)

func open(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) fleet.Store { return open(t, filepath.Join(t.TempDir(), "fleet.db")) })
}

func TestReopenedStoreHasWhatWasCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder with ? and % and spaces", "fleet.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	put := func(tx fleet.Tx) error { return tx.SetMeta("a", "1") }
	if err := s.Update(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is not where it should be: %v", err)
	}
	err := open(t, path).View(t.Context(), func(tx fleet.Tx) error {
		if v, err := tx.Meta("a"); err != nil || v != "1" {
			t.Errorf("meta = %q, %v", v, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreOfANewerVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fleet.db")
	s := open(t, path)
	if err := s.SetSchemaVersion(t.Context(), 999); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := store.OpenSQLite(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "schema version 999") {
		t.Errorf("opening a newer store: %v, want an error that says so", err)
	}
}

// The schema version is what older programs refuse a store for: it stays where it is as long as they can go on, so that a release can be rolled back.
func TestAnOlderProgramGoesOnWithTheStore(t *testing.T) {
	const sinceRelease010 = 3
	for _, s := range []*store.Store{open(t, filepath.Join(t.TempDir(), "fleet.db")), storetest.Postgres(t)} {
		if version, err := s.SchemaVersion(t.Context()); err != nil || version != sinceRelease010 {
			t.Errorf("the schema version is %d, %v: programs that know %d refuse the store", version, err, sinceRelease010)
		}
	}
}

func TestUnusablePath(t *testing.T) {
	if _, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "missing", "fleet.db")); !errors.Is(err, fleet.ErrUnavailable) {
		t.Errorf("opening in a folder that is missing: %v, want ErrUnavailable", err)
	}
}

func TestFullDiskIsUnavailableAndLosesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "fleet.db"))
	big := string(bytes.Repeat([]byte("x"), 1<<20))
	write := func(tx fleet.Tx) error {
		if err := tx.SetMeta("small", "2"); err != nil {
			return err
		}
		return tx.SetMeta("big", big)
	}
	if err := s.Update(t.Context(), func(tx fleet.Tx) error { return tx.SetMeta("small", "1") }); err != nil {
		t.Fatal(err)
	}
	if err := s.LimitSize(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), write); !errors.Is(err, fleet.ErrUnavailable) {
		t.Fatalf("Update on a full disk: %v, want ErrUnavailable", err)
	}
	read := func(want string) {
		t.Helper()
		err := s.View(t.Context(), func(tx fleet.Tx) error {
			if v, err := tx.Meta("small"); err != nil || v != want {
				t.Errorf("meta = %q, %v; want %q", v, err, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read("1")
	if err := s.LimitSize(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), write); err != nil {
		t.Fatalf("Update after space was made: %v", err)
	}
	read("2")
}
