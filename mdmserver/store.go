package mdmserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/store"
)

// openAgain is how long the server waits between attempts to open a store that is away.
const openAgain = 2 * time.Second

// errNotOpen is what is known of a store before the first attempt to open it ends.
var errNotOpen = errors.New("the server is starting")

// reachedStore is the store as the server reaches it: it may not be open yet, transactions that it could not do are counted, and the last of them is
// remembered until one succeeds.
type reachedStore struct {
	opened    atomic.Pointer[fleet.Store]
	announced chan struct{}
	failed    func() // counts

	mu sync.Mutex
	// reading and writing are why the last of each failed: a full disk hinders one and not the other.
	reading, writing error
}

var _ fleet.Store = (*reachedStore)(nil)

func newReachedStore(failed func()) *reachedStore {
	return &reachedStore{announced: make(chan struct{}, 1), failed: failed, reading: errNotOpen}
}

// open sets the store once it could be opened, or notes what hinders that.
func (s *reachedStore) open(opened fleet.Store, err error) error {
	if err == nil {
		s.opened.Store(&opened)
	}
	s.note(&s.reading, err)
	return err
}

func (s *reachedStore) isOpen() bool { return s.opened.Load() != nil }

// forward passes on what the open store announces, and that it is open, until ctx ends.
func (s *reachedStore) forward(ctx context.Context) {
	for {
		select {
		case s.announced <- struct{}{}:
		default:
		}
		select {
		case <-ctx.Done():
			return
		case <-(*s.opened.Load()).Announced():
		}
	}
}

func (s *reachedStore) note(of *error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*of = err
}

// Problem says why the store cannot be used, as far as it is known.
func (s *reachedStore) Problem() adminapi.StoreProblem {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, err := range []error{s.reading, s.writing} {
		if err != nil {
			reason, message := store.Problem(err)
			return adminapi.StoreProblem{Reason: reason, Message: message}
		}
	}
	return adminapi.StoreProblem{}
}

// use calls do with the open store and notes of what kind its problem is.
func (s *reachedStore) use(kind *error, do func(fleet.Store) error) error {
	opened := s.opened.Load()
	if opened == nil {
		s.failed()
		return fmt.Errorf("%w: %s", fleet.ErrUnavailable, s.Problem().Message)
	}
	err := do(*opened)
	switch {
	case errors.Is(err, fleet.ErrUnavailable):
		s.failed()
		s.note(kind, err)
	case !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		s.note(kind, nil)
	}
	return err
}

func (s *reachedStore) View(ctx context.Context, fn func(fleet.Tx) error) error {
	return s.use(&s.reading, func(opened fleet.Store) error { return opened.View(ctx, fn) })
}

func (s *reachedStore) Update(ctx context.Context, fn func(fleet.Tx) error) error {
	return s.use(&s.writing, func(opened fleet.Store) error { return opened.Update(ctx, fn) })
}

func (s *reachedStore) Meta(ctx context.Context, name string) (word string, err error) {
	err = s.use(&s.reading, func(opened fleet.Store) error {
		word, err = opened.Meta(ctx, name)
		return err
	})
	return word, err
}

func (s *reachedStore) Contact(ctx context.Context, q fleet.Contacted) (row *fleet.ContactRow, err error) {
	err = s.use(&s.reading, func(opened fleet.Store) error {
		row, err = opened.Contact(ctx, q)
		return err
	})
	return row, err
}

func (s *reachedStore) Epoch() string {
	if opened := s.opened.Load(); opened != nil {
		return (*opened).Epoch()
	}
	return ""
}

func (s *reachedStore) Announced() <-chan struct{} { return s.announced }

// Close closes the store if it is open.
func (s *reachedStore) Close() error {
	if opened := s.opened.Load(); opened != nil {
		return (*opened).Close()
	}
	return nil
}
