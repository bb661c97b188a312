package live

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// A server gives the entries behind a number, oldest first, and numbers have gaps: what else the store counts, and entries that were forgotten. The last ones
// are looked for backwards, in windows of numbers that grow.
const (
	firstWindow  = 2 * livev1alpha1.MaxEvents
	windowGrowth = 4
	maxWindows   = 8
	// maxPages bounds the pages of one window.
	maxPages = 20
)

// tail reads the last entries of a server's history, at most MaxEvents, and the place behind them.
func (r *deviceEvents) tail(ctx context.Context, server types.NamespacedName) ([]adminapi.HistoryEntry, mark, error) {
	end, err := r.history(ctx, server, -1, 0, 1)
	if err != nil {
		return nil, mark{}, err
	}
	var last []adminapi.HistoryEntry
	size := int64(firstWindow)
	for high, windows := end.Next, 0; high > 0 && windows < maxWindows && len(last) < livev1alpha1.MaxEvents; windows++ {
		low := max(0, high-size)
		found, complete, err := r.between(ctx, server, low, high)
		if err != nil {
			return nil, mark{}, err
		}
		if !complete {
			break
		}
		last = append(found, last...)
		high, size = low, size*windowGrowth
	}
	return newestOf(last), mark{end.Store(), end.Next}, nil
}

// between reads the newest entries behind low and up to high. complete is false if there are too many to read them all.
func (r *deviceEvents) between(ctx context.Context, server types.NamespacedName, low, high int64) (found []adminapi.HistoryEntry, complete bool, err error) {
	for range maxPages {
		page, err := r.history(ctx, server, low, 0, adminapi.MaxPage)
		if err != nil {
			return nil, false, err
		}
		found = newestOf(append(found, until(page.Items, high)...))
		if len(page.Items) == 0 || page.Next >= high {
			return found, true, nil
		}
		low = page.Next
	}
	return nil, false, nil
}

// newestOf are the last entries that a list may have.
func newestOf(entries []adminapi.HistoryEntry) []adminapi.HistoryEntry {
	return entries[max(0, len(entries)-livev1alpha1.MaxEvents):]
}

// until leaves out what happened behind a place: it comes in a watch from there.
func until(entries []adminapi.HistoryEntry, seq int64) []adminapi.HistoryEntry {
	return slices.DeleteFunc(entries, func(e adminapi.HistoryEntry) bool { return e.Seq > seq })
}

// history reads the entries behind a place, or waits for some.
func (r *deviceEvents) history(ctx context.Context, server types.NamespacedName, after int64, wait time.Duration, limit int) (*adminapi.HistoryPage, error) {
	page, err := ask(ctx, r.fleet, server, wait+askTimeout, func(ctx context.Context, c *adminapi.Client) (*adminapi.HistoryPage, error) {
		return c.History(ctx, after, wait, limit)
	})
	if isUnknown(err) {
		err = explain(server, &adminapi.Error{Code: adminapi.CodeInternal, Message: "it keeps no history"})
	}
	return page, err
}
