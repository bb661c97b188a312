package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/live"
)

const (
	// pause before a connection that ended is made again; it doubles each time up to maxPause while there is none.
	pause    = time.Second
	maxPause = 30 * time.Second
	// remembered is how many events are known to have been shown, which is more than a list of them has.
	remembered = 20000
)

// follower shows events as they happen.
type follower struct {
	env     *cli.Env
	session *cli.Session
	options []client.ListOption
	printer *printer
	seen    *memory
	// version is where the next watch begins; empty: a list has to tell.
	version string
}

// follow goes on until the context ends, which is no error.
func (f *follower) follow(ctx context.Context) error {
	wait, told := pause, false
	for {
		heard, err := f.once(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // a person who has seen enough ends it this way
		}
		switch {
		case err != nil && !errors.Is(err, live.ErrUnavailable):
			return fmt.Errorf("following events: %w", err)
		case err != nil && !told:
			if _, writing := fmt.Fprintf(f.env.ErrOut, "Note: %v; trying again until it does\n", err); writing != nil {
				return writing
			}
			told = true
		case err == nil:
			told = false
		}
		if heard {
			wait = pause
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, maxPause)
	}
}

// once follows one connection to its end, and says whether there was one.
func (f *follower) once(ctx context.Context) (bool, error) {
	if f.version == "" {
		if _, err := f.catchUp(ctx, 0); err != nil {
			return false, err
		}
	}
	from := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: f.version, AllowWatchBookmarks: true}}
	events, err := live.Watch(ctx, f.session, &livev1alpha1.DeviceEventList{}, append([]client.ListOption{from}, f.options...)...)
	if err != nil {
		return false, f.forget(err)
	}
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, nil
		case event, open := <-events.ResultChan():
			if !open {
				return true, nil
			}
			if over, err := f.take(event); over || err != nil {
				return true, err
			}
		}
	}
}

// take handles what a watch says, and tells whether that ends it.
func (f *follower) take(event watch.Event) (bool, error) {
	if event.Type == watch.Error {
		return true, f.forget(live.Judge(apierrors.FromObject(event.Object)))
	}
	happened, is := event.Object.(*livev1alpha1.DeviceEvent)
	if !is {
		return false, nil
	}
	if happened.ResourceVersion != "" {
		f.version = happened.ResourceVersion
	}
	if event.Type != watch.Added || !f.seen.add(happened) {
		return false, nil
	}
	return false, f.printer.print(happened)
}

// forget begins with a list again if the place where the watch was to go on is not known any more, which is no error.
func (f *follower) forget(err error) error {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err) {
		f.version = ""
		return nil
	}
	return err
}

// memory knows which of the last events were shown.
type memory struct {
	known map[string]bool
	order []string
}

func newMemory() *memory { return &memory{known: map[string]bool{}} }

// add says whether an event is new.
func (m *memory) add(e *livev1alpha1.DeviceEvent) bool {
	// A server whose store was restored gives names out again.
	key := fmt.Sprintf("%s/%s/%s/%d", e.Namespace, e.Server, e.Name, e.Time.UnixNano())
	if m.known[key] {
		return false
	}
	m.known[key] = true
	m.order = append(m.order, key)
	if len(m.order) > remembered {
		delete(m.known, m.order[0])
		m.order = m.order[1:]
	}
	return true
}
