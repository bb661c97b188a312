package live

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// serversAtOnce is how many servers are asked at a time.
const serversAtOnce = 8

// deviceEvents lists and follows what happens to devices.
type deviceEvents struct{ *fleet }

var (
	_ rest.Lister               = &deviceEvents{}
	_ rest.Watcher              = &deviceEvents{}
	_ rest.Scoper               = &deviceEvents{}
	_ rest.SingularNameProvider = &deviceEvents{}
)

// New implements rest.Storage.
func (*deviceEvents) New() runtime.Object { return &livev1alpha1.DeviceEvent{} }

// NewList implements rest.Lister.
func (*deviceEvents) NewList() runtime.Object { return &livev1alpha1.DeviceEventList{} }

// Destroy implements rest.Storage.
func (*deviceEvents) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*deviceEvents) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (*deviceEvents) GetSingularName() string { return "deviceevent" }

// selection is what a list or watch is of.
type selection struct {
	namespace string
	selector  fields.Selector
	// server and device are exact, or empty.
	server, device string
}

func selected(ctx context.Context, opts *internalversion.ListOptions) (selection, error) {
	s := selection{namespace: namespaceOf(ctx), selector: fields.Everything()}
	if opts == nil {
		return s, nil
	}
	if opts.LabelSelector != nil && !opts.LabelSelector.Empty() {
		return s, apierrors.NewBadRequest("deviceevents have no labels: select them by the fields device and server")
	}
	if opts.FieldSelector != nil {
		s.selector = opts.FieldSelector
		s.server, _ = s.selector.RequiresExactMatch(livev1alpha1.FieldServer)
		s.device, _ = s.selector.RequiresExactMatch(livev1alpha1.FieldDevice)
	}
	return s, nil
}

func (s selection) has(e *livev1alpha1.DeviceEvent) bool {
	return s.selector.Matches(fields.Set{
		livev1alpha1.FieldServer: e.Server, livev1alpha1.FieldDevice: e.Device, fieldName: e.Name, fieldNamespace: e.Namespace,
	})
}

// of lists the servers that the selection may have events of.
func (r *deviceEvents) of(ctx context.Context, s selection) ([]types.NamespacedName, error) {
	servers, err := r.servers(ctx, s.namespace)
	return slices.DeleteFunc(servers, func(server types.NamespacedName) bool { return s.server != "" && s.server != server.Name }), err
}

// List implements rest.Lister.
func (r *deviceEvents) List(ctx context.Context, opts *internalversion.ListOptions) (runtime.Object, error) {
	s, err := selected(ctx, opts)
	if err != nil {
		return nil, err
	}
	list, _, err := r.list(ctx, s)
	return list, err
}

// list reads the newest events of all servers and says up to where. A server that cannot be reached is warned of, unless it is the only one.
func (r *deviceEvents) list(ctx context.Context, s selection) (*livev1alpha1.DeviceEventList, position, error) {
	p := newPosition(r.Clock.Now())
	servers, err := r.of(ctx, s)
	if err != nil {
		return nil, p, err
	}
	list := &livev1alpha1.DeviceEventList{Items: []livev1alpha1.DeviceEvent{}}
	var mu sync.Mutex
	var failures []error
	var group errgroup.Group
	group.SetLimit(serversAtOnce)
	for _, server := range servers {
		group.Go(func() error {
			found, at, err := r.newest(ctx, server, s)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = append(failures, err)
				return nil
			}
			p.set(server, at)
			list.Items = append(list.Items, found...)
			return nil
		})
	}
	_ = group.Wait() // failures has what failed
	if len(failures) > 0 && len(failures) == len(servers) {
		return nil, p, failures[0]
	}
	for _, failure := range failures {
		warning.AddWarning(ctx, "", "events are missing: "+failure.Error())
	}
	slices.SortFunc(list.Items, func(a, b livev1alpha1.DeviceEvent) int {
		return cmp.Or(a.Time.Compare(b.Time.Time), cmp.Compare(a.Name, b.Name))
	})
	list.ResourceVersion = p.String()
	return list, p, nil
}

// newest reads the newest events of a server, or all that is kept of one device, and the place behind them.
func (r *deviceEvents) newest(ctx context.Context, server types.NamespacedName, s selection) ([]livev1alpha1.DeviceEvent, mark, error) {
	entries, at, err := r.entries(ctx, server, s)
	if err != nil {
		return nil, at, err
	}
	found := make([]livev1alpha1.DeviceEvent, 0, len(entries))
	for _, entry := range entries {
		e, err := r.event(ctx, server, entry)
		if err != nil {
			return nil, at, err
		}
		e.ResourceVersion = only(server, mark{at.Store, entry.Seq}, entry.At).String()
		if s.has(e) {
			found = append(found, *e)
		}
	}
	return found, at, nil
}

func (r *deviceEvents) entries(ctx context.Context, server types.NamespacedName, s selection) ([]adminapi.HistoryEntry, mark, error) {
	if s.device == "" || s.namespace == "" {
		return r.tail(ctx, server)
	}
	end, err := r.history(ctx, server, -1, 0, 1)
	if err != nil {
		return nil, mark{}, err
	}
	at := mark{end.Store(), end.Next}
	d := &mdmv1alpha1.Device{}
	if err := r.get(ctx, types.NamespacedName{Namespace: s.namespace, Name: s.device}, d, "devices"); err != nil {
		return nil, at, err
	}
	if d.Spec.ServerRef.Name != server.Name {
		return nil, at, nil
	}
	_, detail, err := r.detail(ctx, types.NamespacedName{Namespace: s.namespace, Name: s.device})
	if apierrors.IsConflict(err) {
		return nil, at, nil // it has not enrolled: nothing has happened to it
	}
	if err != nil {
		return nil, at, err
	}
	return until(detail.History, at.Seq), at, nil
}

// event is an entry with the names that people know.
func (r *deviceEvents) event(ctx context.Context, server types.NamespacedName, entry adminapi.HistoryEntry) (*livev1alpha1.DeviceEvent, error) {
	name, serial, err := r.named(ctx, server, entry.DeviceID)
	if err != nil {
		return nil, err
	}
	e := &livev1alpha1.DeviceEvent{
		TypeMeta: metav1.TypeMeta{APIVersion: livev1alpha1.GroupVersion.String(), Kind: "DeviceEvent"},
		Server:   server.Name, Device: name, DeviceID: entry.DeviceID, SerialNumber: serial, HistoryEntry: historyEntry(entry),
	}
	e.ObjectMeta = metav1.ObjectMeta{Namespace: server.Namespace, Name: fmt.Sprintf("%s.%d", server.Name, entry.Seq), CreationTimestamp: e.Time}
	return e, nil
}
