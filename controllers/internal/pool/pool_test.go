package pool_test

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/kubemdm/kubemdm/controllers/internal/pool"
)

func TestEqualTextsShareTheirBytes(t *testing.T) {
	var words pool.Words
	a, b, empty := string([]byte("Responding")), string([]byte("Responding")), ""
	words.Share(&a, &b, &empty)
	if unsafe.StringData(a) != unsafe.StringData(b) || a != "Responding" || empty != "" {
		t.Errorf("%q and %q are two, or %q is something", a, b, empty)
	}
}

// A pool that many values pass through does not grow for ever, and answers right all the while.
func TestPoolIsBounded(t *testing.T) {
	var numbers pool.Pool[int]
	first := numbers.Share("0", 1)
	for i := range 1 << 20 {
		if got := numbers.Share(fmt.Sprint(i), i); got != i && i != 0 {
			t.Fatalf("%d is %d", i, got)
		}
	}
	if again := numbers.Share("0", 2); first != 1 || again != 2 {
		t.Errorf("the first value is %d, and %d a million later", first, again)
	}
}
