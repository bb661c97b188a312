package roster_test

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
)

// The Devices are read again when one of them changed, and by everybody who watches none.
func TestBookIsReadUntilItIsTurned(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := mdmv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	clock := testingclock.NewFakePassiveClock(time.Now())
	pass := func(d time.Duration) { clock.SetTime(clock.Now().Add(d)) }
	lists, listing := 0, time.Duration(0)
	reader := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&mdmv1alpha1.Device{}, link.FieldServer, func(o client.Object) []string {
		return []string{o.(*mdmv1alpha1.Device).Spec.ServerRef.Name}
	}).WithInterceptorFuncs(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		lists++
		pass(listing)
		return c.List(ctx, list, opts...)
	}}).WithObjects(&mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "mac"}}).Build()
	book, session, name := &roster.Book{Clock: clock}, &link.Server{}, types.NamespacedName{Namespace: "fleet", Name: "mdm"}
	nothing := func() {}
	for i, c := range []struct {
		before func()
		lists  int
	}{
		{nothing, 1}, {nothing, 2},
		{book.Watch, 2}, {nothing, 2},
		{book.Turn, 3}, {nothing, 3},
		{func() { session = &link.Server{} }, 4}, {nothing, 4},
	} {
		c.before()
		if _, err := book.Groups(t.Context(), reader, name, session); err != nil {
			t.Fatal(err)
		}
		if lists != c.lists {
			t.Errorf("%d: the Devices were listed %d times, want %d", i, lists, c.lists)
		}
	}
	recent := func(want int, wantAgain time.Duration) {
		t.Helper()
		_, again, err := book.Recent(t.Context(), reader, name, session)
		if err != nil {
			t.Fatal(err)
		}
		if lists != want || again != wantAgain {
			t.Errorf("the Devices were listed %d times, again after %s, want %d, %s", lists, again, want, wantAgain)
		}
	}
	recent(4, 0)
	book.Turn()
	recent(4, time.Second)
	pass(300 * time.Millisecond)
	recent(4, 700*time.Millisecond)
	pass(700 * time.Millisecond)
	listing = 500 * time.Millisecond // a large fleet: a moment is ten times that from its begin
	recent(5, 0)
	book.Turn()
	recent(5, 4500*time.Millisecond)
	pass(4500 * time.Millisecond)
	listing = time.Hour // the machine slept
	recent(6, 0)
	book.Turn()
	recent(7, 0)
	listing = 0
	session = &link.Server{}
	recent(8, 0)
}
