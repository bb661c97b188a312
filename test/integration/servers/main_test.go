package servers_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/test/standin"
)

// apiServer is the real one, api a client of it with all rights.
var (
	apiServer *envtest.Environment
	api       client.Client
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	apiServer = standin.APIServer()
	config, err := apiServer.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	defer func() {
		if stopped := apiServer.Stop(); err == nil {
			err = stopped
		}
	}()
	live, err := client.NewWithWatch(config, client.Options{Scheme: setup.Scheme()})
	if err != nil {
		return 0, err
	}
	api = interceptor.NewClient(live, interceptor.Funcs{List: listByField})
	return m.Run(), nil
}

// listByField does what the manager's cache does with its field indexes.
func listByField(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
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
	var selected []runtime.Object
	for _, item := range items {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(item)
		if err != nil {
			return err
		}
		for _, r := range selector.Requirements() {
			if fieldOf(content, r.Field) == r.Value {
				selected = append(selected, item)
			}
		}
	}
	return meta.SetList(list, selected)
}

func fieldOf(content map[string]any, field string) string {
	var at any = content
	for _, name := range strings.Split(field, ".") {
		m, _ := at.(map[string]any)
		at = m[name]
	}
	value, _ := at.(string)
	return value
}
