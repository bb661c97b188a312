// Package storetest is the suite that every dialect of mdmserver/store passes: what fleet.Store promises, seen through the interface only.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// now is the time of the suite.
var now = time.Date(2027, 1, 2, 3, 4, 5, 678000, time.UTC)

// Run runs the suite. open returns an empty store, which the suite closes.
func Run(t *testing.T, open func(t *testing.T) fleet.Store) {
	for name, test := range map[string]func(*suite){
		"transactions":       (*suite).transactions,
		"serial updates":     (*suite).serialUpdates,
		"rows":               (*suite).rows,
		"pages":              (*suite).pages,
		"tokens":             (*suite).tokens,
		"identities":         (*suite).identities,
		"devices":            (*suite).devices,
		"channels":           (*suite).channels,
		"seeding":            (*suite).seeding,
		"artifact changes":   (*suite).artifactChanges,
		"ownership":          (*suite).ownership,
		"records":            (*suite).records,
		"clearing":           (*suite).clearing,
		"reoffering":         (*suite).reoffering,
		"counting":           (*suite).counting,
		"actions":            (*suite).actions,
		"targets":            (*suite).targets,
		"forgetting":         (*suite).forgetting,
		"keeping the newest": (*suite).keepingTheNewest,
		"dirty rows":         (*suite).dirtyRows,
		"automated":          (*suite).automated,
		"agents":             (*suite).agents,
		"stranded agents":    (*suite).strandedAgents,
		"nodes":              (*suite).nodes,
		"verifying":          (*suite).verifying,
		"platforms":          (*suite).platforms,
		"PCs":                (*suite).pcs,
		"history":            (*suite).history,
		"progress":           (*suite).progress,
		"progress rows":      (*suite).progressRows,
		"contacts":           (*suite).contacts,
		"busy contacts":      (*suite).busyContacts,
		"leases":             (*suite).leases,
		"epochs":             (*suite).epochs,
		"strange text":       (*suite).strangeText,
		"text in order":      (*suite).textInOrder,
	} {
		t.Run(name, func(t *testing.T) {
			s := &suite{T: t, store: open(t)}
			t.Cleanup(func() { _ = s.store.Close() })
			test(s)
		})
	}
}

type suite struct {
	*testing.T
	store fleet.Store
}

func (s *suite) update(fn func(tx fleet.Tx)) {
	s.Helper()
	s.must(s.store.Update(s.Context(), func(tx fleet.Tx) error { fn(tx); return nil }))
}

func (s *suite) view(fn func(tx fleet.Tx)) {
	s.Helper()
	s.must(s.store.View(s.Context(), func(tx fleet.Tx) error { fn(tx); return nil }))
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// get unwraps a result of a getter.
func get[T any](s *suite) func(v T, err error) T {
	return func(v T, err error) T {
		s.Helper()
		s.must(err)
		return v
	}
}

// want compares what names make of rows.
func want[T any](s *suite, rows []T, name func(T) string, names ...string) {
	s.Helper()
	got := make([]string, 0, len(rows))
	for _, r := range rows {
		got = append(got, name(r))
	}
	if !slices.Equal(got, names) {
		s.Errorf("got %q, want %q", got, names)
	}
}

func (s *suite) transactions() {
	boom := errors.New("boom")
	err := s.store.Update(s.Context(), func(tx fleet.Tx) error {
		s.must(tx.SetMeta("a", "1"))
		return boom
	})
	if !errors.Is(err, boom) {
		s.Errorf("Update returned %v, want the function's error", err)
	}
	s.view(func(tx fleet.Tx) {
		if v := get[string](s)(tx.Meta("a")); v != "" {
			s.Errorf("a failed update left %q", v)
		}
	})
	s.update(func(tx fleet.Tx) { s.must(tx.SetMeta("a", "2")) })
	s.view(func(outer fleet.Tx) { // a view is a snapshot, and writers do not wait for it
		get[string](s)(outer.Meta("a"))
		s.update(func(tx fleet.Tx) { s.must(tx.SetMeta("a", "3")) })
		if v := get[string](s)(outer.Meta("a")); v != "2" {
			s.Errorf("a view saw a later write: %q", v)
		}
	})
	s.view(func(tx fleet.Tx) {
		if v := get[string](s)(tx.Meta("a")); v != "3" {
			s.Errorf("meta = %q, want what was committed last", v)
		}
		if tx.SetMeta("a", "4") == nil {
			s.Error("a view can write")
		}
	})
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if err := s.store.Update(ctx, func(fleet.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		s.Errorf("Update with a canceled context: %v", err)
	}
	ctx, cancel = context.WithCancel(s.Context())
	err = s.store.Update(ctx, func(tx fleet.Tx) error {
		cancel()
		return tx.SetMeta("a", "5")
	})
	if !errors.Is(err, context.Canceled) {
		s.Errorf("Update whose context was canceled on the way: %v", err)
	}
	s.view(func(tx fleet.Tx) {
		if v := get[string](s)(tx.Meta("a")); v != "3" {
			s.Errorf("meta = %q after a canceled update", v)
		}
	})
	s.must(s.store.Close())
	if err := s.store.View(s.Context(), func(fleet.Tx) error { return nil }); !errors.Is(err, fleet.ErrUnavailable) {
		s.Errorf("View of a closed store: %v, want ErrUnavailable", err)
	}
}

func (s *suite) serialUpdates() {
	const writers, each = 8, 20
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				err := s.store.Update(s.Context(), func(tx fleet.Tx) error {
					v, err := tx.NextVersion()
					if err != nil {
						return err
					}
					return tx.PutDirty(fleet.DirtyRow{Kind: adminapi.KindDevice, Key: fmt.Sprint(v), Version: v})
				})
				if err != nil {
					s.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s.view(func(tx fleet.Tx) {
		if rows := get[[]fleet.DirtyRow](s)(tx.DueDirty(now, 0, 1000)); len(rows) != writers*each {
			s.Errorf("%d versions; want %d, each another one", len(rows), writers*each)
		}
	})
}

func (s *suite) dirtyRows() {
	a := fleet.DirtyRow{Kind: adminapi.KindDevice, Key: "a", Version: 1}
	b := fleet.DirtyRow{Kind: adminapi.KindArtifact, Key: "b", Version: 2}
	name := func(r fleet.DirtyRow) string { return fmt.Sprintf("%s/%s@%d", r.Kind, r.Key, r.Version) }
	due := func(at time.Time, epoch int64, names ...string) {
		s.Helper()
		s.view(func(tx fleet.Tx) { want(s, get[[]fleet.DirtyRow](s)(tx.DueDirty(at, epoch, 10)), name, names...) })
	}
	s.update(func(tx fleet.Tx) { s.must(tx.PutDirty(b)); s.must(tx.PutDirty(a)) })
	due(now, 5, "device/a@1", "artifact/b@2")
	s.update(func(tx fleet.Tx) {
		s.must(tx.LeaseDirty(a, 5, now.Add(time.Minute)))
		s.must(tx.LeaseDirty(fleet.DirtyRow{Kind: b.Kind, Key: b.Key, Version: 1}, 5, now.Add(time.Hour)))
		s.must(tx.PostponeDirty(b, now.Add(time.Second)))
	})
	due(now, 5)
	due(now, 6, "device/a@1")
	s.view(func(tx fleet.Tx) {
		if at := get[time.Time](s)(tx.NextDirty(now)); !at.Equal(now.Add(time.Second)) {
			s.Errorf("the next row is due at %v", at)
		}
	})
	due(now.Add(time.Minute), 5, "device/a@1", "artifact/b@2")
	newer := a
	newer.Version = 3
	s.update(func(tx fleet.Tx) { s.must(tx.PutDirty(newer)); s.must(tx.DeleteDirty(a)) })
	due(now, 5, "device/a@3")
	s.update(func(tx fleet.Tx) { s.must(tx.DeleteDirty(newer)); s.must(tx.DeleteDirty(b)) })
	due(now.Add(time.Hour), 5)
	s.view(func(tx fleet.Tx) {
		if at := get[time.Time](s)(tx.NextDirty(now)); !at.IsZero() {
			s.Errorf("nothing is dirty and the next row is due at %v", at)
		}
	})
}
