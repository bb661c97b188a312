package link_test

import (
	"cmp"
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// What a person changed comes first, then what a server says of a device, then all that is looked at since a connection is a new one.
func TestPeopleComeFirst(t *testing.T) {
	named := func(name string) reconcile.Request {
		return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "fleet", Name: name}}
	}
	q := priorityqueue.New[reconcile.Request]("test")
	defer q.ShutDown()
	w := watch(t, all)
	src := w.Source(adminapi.KindDevice, func(_ context.Context, e link.Event) []reconcile.Request {
		return []reconcile.Request{named(cmp.Or(e.Key, "all"))}
	})
	if err := src.Start(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	w.Wake(t.Context(), link.Event{Server: serverName, Kind: adminapi.KindDevice})
	w.Wake(t.Context(), link.Event{Server: serverName, Kind: adminapi.KindDevice, Key: "row"})
	q.Add(named("person"))
	for _, want := range []string{"person", "row", "all"} {
		got, _ := q.Get()
		if got.Name != want {
			t.Errorf("%s came, want %s", got.Name, want)
		}
		q.Done(got)
	}
}
