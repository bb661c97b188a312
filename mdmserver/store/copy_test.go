package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/mdmserver/store/storetest"
	"github.com/kubemdm/kubemdm/test/postgres"
)

// A store that moves from SQLite to PostgreSQL takes every row of every table along.
func TestCopy(t *testing.T) {
	from := open(t, filepath.Join(t.TempDir(), "fleet.db"))
	storetest.Fill(t, from)
	to := storetest.Postgres(t)
	reported := map[string]int64{}
	counts, err := store.Copy(t.Context(), from, to, func(table string, rows int64) { reported[table] = rows })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Rows == 0 || reported[c.Table] != c.Rows {
			t.Errorf("%d rows of %s were copied, and %d reported", c.Rows, c.Table, reported[c.Table])
		}
	}
	storetest.Compare(t, from, to)
	if err := to.Update(t.Context(), func(tx fleet.Tx) error { _, err := tx.NextVersion(); return err }); err != nil {
		t.Error(err)
	}
	id, _, _ := strings.Cut(from.Epoch(), ".")
	postgres.Eventually(t, "the copy to have an epoch of the same store", func(context.Context) bool {
		of, _, _ := strings.Cut(to.Epoch(), ".")
		return of == id
	})
	if to.Epoch() == from.Epoch() {
		t.Error("the copy has the epoch of the original")
	}

	if _, err := store.Copy(t.Context(), from, to, nil); err == nil || !strings.Contains(err.Error(), "not empty, it holds tokens (1 rows), ") {
		t.Errorf("copying into a store that is not empty: %v", err)
	}
	if _, err := store.Copy(t.Context(), to, open(t, filepath.Join(t.TempDir(), "other.db")), nil); err == nil {
		t.Error("a store was copied into SQLite")
	}
}

// Every table of the one dialect has the same columns in the other, and moves along.
func TestDialectsHaveTheSameTables(t *testing.T) {
	tables := map[string]string{}
	for _, s := range []*store.Store{open(t, filepath.Join(t.TempDir(), "fleet.db")), storetest.Postgres(t)} {
		found, err := s.Tables(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for name, columns := range found {
			if tables[name] == "" {
				tables[name] = columns
			}
			if tables[name] != columns {
				t.Errorf("%s has the columns %s in one dialect and %s in the other", name, tables[name], columns)
			}
		}
	}
	for _, name := range append(store.Copied, "leases", "schema_version", "schema_extension") {
		if tables[name] == "" {
			t.Errorf("there is no table %s", name)
		}
		delete(tables, name)
	}
	if len(tables) > 0 {
		t.Errorf("these tables do not move with a store: %v", fmt.Sprint(tables))
	}
}
