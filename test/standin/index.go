package standin

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubemdm/kubemdm/controllers/setup"
)

// Indexed is a client that reads the API server itself and lists by the manager's field indexes, as the manager's cache does.
func Indexed(c client.WithWatch) (client.Client, error) {
	indexes := index{}
	if err := setup.IndexFields(context.Background(), indexes); err != nil {
		return nil, err
	}
	return interceptor.NewClient(c, interceptor.Funcs{List: indexes.list}), nil
}

// index holds the values of field indexes, by the field and the kind.
type index map[string]map[string]client.IndexerFunc

func kind(o runtime.Object) string { return fmt.Sprintf("%T", o) }

// IndexField implements client.FieldIndexer.
func (i index) IndexField(_ context.Context, obj client.Object, field string, values client.IndexerFunc) error {
	if i[field] == nil {
		i[field] = map[string]client.IndexerFunc{}
	}
	i[field][kind(obj)] = values
	return nil
}

func (i index) list(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	o := client.ListOptions{}
	o.ApplyOptions(opts)
	selector := o.FieldSelector
	o.FieldSelector = nil
	if err := c.List(ctx, list, &o); err != nil || selector == nil {
		return err
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	for _, r := range selector.Requirements() {
		items = slices.DeleteFunc(items, func(item runtime.Object) bool {
			values := i[r.Field][kind(item)]
			return !slices.Contains(values(item.(client.Object)), r.Value)
		})
	}
	return meta.SetList(list, items)
}
