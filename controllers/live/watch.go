package live

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	// maxWatches bounds the watches of one manager: each keeps one question open at each server that it is about.
	maxWatches = 200
	// pollWait is how long a server may hold a question when nothing happens.
	pollWait = 50 * time.Second
	// lookAgain is how soon a watch notices new servers.
	lookAgain = 10 * time.Second
	// tooSoon is the pause after an empty answer that came at once: a server that does not wait must not be asked without end.
	tooSoon = time.Second
)

// followRetry is the pause between attempts to reach a server.
var followRetry = wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.3, Steps: 6, Cap: 30 * time.Second}

// Watch implements rest.Watcher. A server that cannot be reached is tried again; it does not end the watch of the others.
func (r *deviceEvents) Watch(ctx context.Context, opts *internalversion.ListOptions) (watch.Interface, error) {
	s, err := selected(ctx, opts)
	if err != nil {
		return nil, err
	}
	p, given, err := parsePosition(opts.ResourceVersion)
	if err != nil {
		return nil, err
	}
	// A watch from nowhere begins with what a list would have, unless it is told not to.
	whole := !given
	if opts.SendInitialEvents != nil {
		whole = *opts.SendInitialEvents
	}
	select {
	case r.watches <- struct{}{}:
	default:
		return nil, apierrors.NewTooManyRequests("this manager serves as many watches of deviceevents as it can: try again, or share one", retryAfter)
	}
	var first *livev1alpha1.DeviceEventList
	switch {
	case whole:
		if first, p, err = r.list(ctx, s); err != nil {
			<-r.watches
			return nil, err
		}
	case !given:
		p = newPosition(r.Clock.Now())
	}
	ctx, cancel := context.WithCancel(ctx)
	marked := opts.SendInitialEvents != nil && opts.AllowWatchBookmarks
	w := &follower{deviceEvents: r, selection: s, ctx: ctx, Stopper: Stopper(cancel), out: make(chan watch.Event, 100), at: p, servers: map[types.NamespacedName]context.CancelFunc{}}
	go w.run(first, marked)
	return w, nil
}

// Stopper ends a watch.
type Stopper func()

// Stop implements watch.Interface.
func (s Stopper) Stop() { s() }

// follower merges the histories of servers into one watch.
type follower struct {
	*deviceEvents
	selection
	Stopper
	ctx context.Context
	out chan watch.Event

	following sync.WaitGroup
	servers   map[types.NamespacedName]context.CancelFunc // that are followed

	mu sync.Mutex
	at position
}

// ResultChan implements watch.Interface.
func (w *follower) ResultChan() <-chan watch.Event { return w.out }

// run follows every server there is until the watch is stopped. marked says that the client wants to know where what happened before ends.
func (w *follower) run(first *livev1alpha1.DeviceEventList, marked bool) {
	defer func() {
		w.Stop()
		w.following.Wait()
		close(w.out)
		<-w.watches
	}()
	if first != nil {
		for i := range first.Items {
			w.send(watch.Event{Type: watch.Added, Object: &first.Items[i]})
		}
		if marked {
			w.send(watch.Event{Type: watch.Bookmark, Object: &livev1alpha1.DeviceEvent{ObjectMeta: metav1.ObjectMeta{
				ResourceVersion: first.ResourceVersion, Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
			}}})
		}
	}
	ticker := w.Clock.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		w.look()
		select {
		case <-w.ctx.Done():
			return
		case <-ticker.C():
		}
	}
}

// look begins to follow new servers and forgets those that are gone.
func (w *follower) look() {
	servers, err := w.of(w.ctx, w.selection)
	if err != nil {
		return // the cache is asked again soon
	}
	here := map[types.NamespacedName]bool{}
	for _, server := range servers {
		here[server] = true
		if w.servers[server] == nil {
			ctx, cancel := context.WithCancel(w.ctx)
			w.servers[server] = cancel
			w.following.Go(func() { w.follow(ctx, server) })
		}
	}
	for server, cancel := range w.servers {
		if !here[server] {
			cancel()
			delete(w.servers, server)
		}
	}
}

// follow sends what happens at one server.
func (w *follower) follow(ctx context.Context, server types.NamespacedName) {
	pause := followRetry
	for ctx.Err() == nil {
		began := w.Clock.Now()
		entries, next, err := w.next(ctx, server)
		delay := time.Duration(0)
		switch {
		case apierrors.IsResourceExpired(err):
			w.end(err)
			return
		case err != nil:
			delay = pause.Step()
		case !w.deliver(ctx, server, entries, next), len(entries) == 0 && w.Clock.Since(began) < tooSoon:
			delay = tooSoon
		default:
			pause = followRetry
		}
		if delay > 0 {
			w.sleep(ctx, delay)
		}
	}
}

// next waits for the entries behind the place that the watch is at.
func (w *follower) next(ctx context.Context, server types.NamespacedName) ([]adminapi.HistoryEntry, mark, error) {
	w.mu.Lock()
	at, known := w.at.at(server)
	since := time.UnixMilli(w.at.Since)
	w.mu.Unlock()
	if !known {
		entries, next, err := w.tail(ctx, server)
		return after(entries, since), next, err
	}
	page, err := w.history(ctx, server, at.Seq, pollWait, livev1alpha1.MaxEvents)
	if err != nil {
		return nil, at, err
	}
	if page.Store() != at.Store || page.Next < at.Seq {
		return nil, at, apierrors.NewResourceExpired("the store of the MDMServer " + server.Name + " was restored or replaced: list again")
	}
	return page.Items, mark{page.Store(), page.Next}, nil
}

// after leaves out what happened before a time.
func after(entries []adminapi.HistoryEntry, since time.Time) []adminapi.HistoryEntry {
	for i, e := range entries {
		if !e.At.Before(since) {
			return entries[i:]
		}
	}
	return nil
}

// deliver sends entries and moves the place behind them. ok is false when a name could not be looked up; then they are read again.
func (w *follower) deliver(ctx context.Context, server types.NamespacedName, entries []adminapi.HistoryEntry, next mark) (ok bool) {
	for _, entry := range entries {
		e, err := w.event(ctx, server, entry)
		if err != nil {
			return false
		}
		e.ResourceVersion = w.move(server, mark{next.Store, entry.Seq})
		if w.has(e) && !w.send(watch.Event{Type: watch.Added, Object: e}) {
			return false
		}
	}
	w.move(server, next)
	return true
}

// move takes the watch to a place and returns the resourceVersion there.
func (w *follower) move(server types.NamespacedName, m mark) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at.set(server, m)
	return w.at.String()
}

// send waits until the client takes an event, or the watch ends.
func (w *follower) send(e watch.Event) bool {
	select {
	case w.out <- e:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// end tells the client why the watch ends.
func (w *follower) end(err error) {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		s := status.Status()
		w.send(watch.Event{Type: watch.Error, Object: &s})
	}
	w.Stop()
}

func (w *follower) sleep(ctx context.Context, d time.Duration) {
	timer := w.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
}
