package replicas

import (
	"context"
	"fmt"
	"testing"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// movedTo is how many pods the server has on PostgreSQL.
const movedTo = 2

// TestMigrateStore moves a server from SQLite to PostgreSQL as an administrator does. No device enrols again, and each gets what is new from the pods that
// serve then.
func TestMigrateStore(t *testing.T) {
	r := newReplicas(t)
	harness.Take(t, r.ToServer()...)
	harness.Take(t,
		harness.Step{Title: fmt.Sprintf("%d Macs and %d PCs are enrolled on SQLite", macs, pcs), Do: r.enrol},
		r.databaseStep(),
		harness.Step{Title: "kubectl mdm migrate-store has moved it", Do: func(ctx context.Context) error { return r.migrateStore(ctx, t.TempDir()) }},
		harness.Step{Title: "every device gets what is new", Do: r.goOn},
		harness.Step{Title: "every profile is installed as the devices say", Do: r.profilesInstalled},
		harness.Step{Title: "every Device tells the truth", Do: r.devicesTrue},
	)
}

// migrateStore runs the plugin, built into dir.
func (r *replicas) migrateStore(ctx context.Context, dir string) error {
	plugin, err := harness.Build(ctx, dir, "./cmd/kubectl-mdm")
	if err != nil {
		return err
	}
	said, err := plugin.Run(ctx, "migrate-store", harness.ServerName, "--namespace="+namespace, "--to-secret="+databaseSecret, "--ca-secret="+databaseCA,
		fmt.Sprintf("--replicas=%d", movedTo), "--yes")
	r.log("%s", said)
	if err != nil {
		return err
	}
	server, err := r.server(ctx)
	if err != nil {
		return err
	}
	if server.Spec.Storage.Type != mdmv1alpha1.StoragePostgreSQL {
		return fmt.Errorf("the server stores in %s still", server.Spec.Storage.Type)
	}
	return r.replaced(ctx, movedTo)
}

// goOn edits the profiles and has the devices connect until all of them have the edit.
func (r *replicas) goOn(ctx context.Context) error {
	if err := r.flow.change(ctx); err != nil {
		return err
	}
	return r.Wait(ctx, "the edited profiles on every device", func(ctx context.Context) (bool, string, error) {
		for _, l := range r.traffic.lanes {
			if err := l.connect(ctx); err != nil {
				return false, fmt.Sprintf("%s: %v", l.name, err), nil
			}
		}
		missing := r.behind()
		return missing == nil, fmt.Sprint(missing), nil
	})
}
