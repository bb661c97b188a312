package setup

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
)

// keeper is the manager's client, and hands out the Devices that are cached.
type keeper struct {
	client.Client
	devices toolscache.Indexer
}

var _ roster.Keeper = keeper{}

// keep returns the client of a manager. Where the manager's namespaces are named, each has a cache of its own and the client copies.
func keep(ctx context.Context, mgr ctrl.Manager) (client.Client, error) {
	informer, err := mgr.GetCache().GetInformer(ctx, &mdmv1alpha1.Device{})
	if err != nil {
		return nil, err
	}
	if shared, ok := informer.(toolscache.SharedIndexInformer); ok {
		return keeper{Client: mgr.GetClient(), devices: shared.GetIndexer()}, nil
	}
	return mgr.GetClient(), nil
}

// KeptDevices implements roster.Keeper. The names of the index and of its values are those that controller-runtime gives them.
func (k keeper) KeptDevices(server *types.NamespacedName) ([]*mdmv1alpha1.Device, bool) {
	objects := k.devices.List
	if server != nil {
		indexed, err := k.devices.ByIndex("field:"+link.FieldServer, server.String())
		if err != nil {
			return nil, false
		}
		objects = func() []any { return indexed }
	}
	var devices []*mdmv1alpha1.Device
	for _, o := range objects() {
		devices = append(devices, o.(*mdmv1alpha1.Device))
	}
	return devices, true
}
