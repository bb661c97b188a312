package counts_test

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubemdm/kubemdm/test/apiwrites"
)

// writes are requests that change objects.
type writes = apiwrites.Writes

// written returns what was written since the API server started, whoever wrote it.
func (w *world) written() writes {
	w.Helper()
	counted, err := apiwrites.Read(w.Context(), config)
	w.must(err)
	return counted
}

// quiet is for how many seconds nothing must have been written until the operator counts as at rest: longer than it gathers events of any kind.
const quiet = 5

// settled waits until nothing is written any more, and returns what was.
func (w *world) settled() writes {
	w.Helper()
	last, still := w.written(), 0
	err := wait.PollUntilContextTimeout(w.Context(), time.Second, patience, false, func(context.Context) (bool, error) {
		now := w.written()
		if still++; now.Total() != last.Total() {
			last, still = now, 0
		}
		return still == quiet, nil
	})
	if err != nil {
		w.Fatalf("something is written again and again: %v", err)
	}
	return last
}
