package link

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Kinds of events that are about no row.
const (
	// KindServer is about a connection itself: won, lost, or its Info changed.
	KindServer adminapi.Kind = "server"
	// KindAssignments asks to compare what is assigned to devices with what should be. Controllers send it to each other (Registry.Wake).
	KindAssignments adminapi.Kind = "assignments"
)

// FieldServer is the name of the field index by which objects are found that name an MDMServer (see controllers/setup).
const FieldServer = "spec.serverRef.name"

// Event says that a row of a server's mirror changed.
type Event struct {
	Server types.NamespacedName
	Kind   adminapi.Kind
	// Key of the row: a device id, or "namespace/name". Empty: every row of this kind may have changed and every object of the server must be
	// looked at again, since the connection is a new one, or gone for good.
	Key string
}

// Handler maps an event to the objects that it concerns. A change that concerns none is acked at once.
type Handler func(ctx context.Context, e Event) []reconcile.Request

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

type sink struct {
	handler Handler
	queue   queue
}

// Source is the controller-runtime source of one kind's events. A source that starts late is told of the servers that are already connected.
func (r *Registry) Source(kind adminapi.Kind, handler Handler) source.Source {
	return source.Func(func(ctx context.Context, q queue) error {
		s := sink{handler: handler, queue: q}
		r.mu.Lock()
		r.sinks[kind] = append(r.sinks[kind], s)
		servers := make([]types.NamespacedName, 0, len(r.links))
		for server := range r.links {
			servers = append(servers, server)
		}
		r.mu.Unlock()
		for _, server := range servers {
			s.take(ctx, Event{Server: server, Kind: kind})
		}
		return nil
	})
}

func (s sink) take(ctx context.Context, e Event) int {
	requests := s.handler(ctx, e)
	if e.Key == "" {
		enqueue(s.queue, handler.LowPriority, requests)
	} else {
		AfterPeople(s.queue, requests...)
	}
	return len(requests)
}

// afterPeople is the priority of what a server says: below what a person just changed, which is 0, and above what is looked at since it might have changed.
const afterPeople = handler.LowPriority / 2

// AfterPeople enqueues requests that follow from what a server says.
func AfterPeople(q workqueue.TypedRateLimitingInterface[reconcile.Request], requests ...reconcile.Request) {
	enqueue(q, afterPeople, requests)
}

func enqueue(q queue, priority int, requests []reconcile.Request) {
	if ranked, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		ranked.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, requests...)
		return
	}
	for _, request := range requests {
		q.Add(request)
	}
}

// emit hands an event to the sources of its kind. unwanted says that sources listen and none had use for the event.
func (r *Registry) emit(ctx context.Context, e Event) (unwanted bool) {
	r.mu.Lock()
	sinks := r.sinks[e.Kind]
	r.mu.Unlock()
	requests := 0
	for _, s := range sinks {
		requests += s.take(ctx, e)
	}
	return len(sinks) > 0 && requests == 0
}

// Wake hands an event to the sources of its kind as if the server had sent it.
func (r *Registry) Wake(ctx context.Context, e Event) { r.emit(ctx, e) }

// announce tells all sources that a server's connection is a new one, or gone for good.
func (r *Registry) announce(server types.NamespacedName) {
	for _, kind := range []adminapi.Kind{KindServer, adminapi.KindDevice, adminapi.KindArtifact, adminapi.KindAction, adminapi.KindToken} {
		r.emit(r.ctx, Event{Server: server, Kind: kind})
	}
}

// ToServer is the Handler of controllers whose requests are servers.
func ToServer(_ context.Context, e Event) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: e.Server}}
}

// ToExisting returns the Handler of the MDMServer's own controller. It leaves out servers that are gone: to see to one of them again would disconnect it
// again, and tell everybody again, for ever.
func ToExisting(reader client.Reader) Handler {
	return func(ctx context.Context, e Event) []reconcile.Request {
		if apierrors.IsNotFound(reader.Get(ctx, e.Server, &mdmv1alpha1.MDMServer{}, client.UnsafeDisableDeepCopy)) {
			return nil
		}
		return ToServer(ctx, e)
	}
}

// ToNamed returns the Handler of kinds whose rows are named after their objects: the object itself if it exists, or all objects of the server.
// list is an empty list of the kind, which must have the index FieldServer.
func ToNamed(reader client.Reader, list client.ObjectList) Handler {
	return func(ctx context.Context, e Event) []reconcile.Request {
		found := list.DeepCopyObject().(client.ObjectList)
		if err := reader.List(ctx, found, client.InNamespace(e.Server.Namespace), client.MatchingFields{FieldServer: e.Server.Name}, client.UnsafeDisableDeepCopy); err != nil {
			log.FromContext(ctx).Error(err, "listing the objects of a server", "server", e.Server)
			return nil
		}
		_, name, named := strings.Cut(e.Key, "/")
		var requests []reconcile.Request
		_ = meta.EachListItem(found, func(o runtime.Object) error {
			if object := o.(client.Object); !named || object.GetName() == name {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)})
			}
			return nil
		})
		return requests
	}
}
