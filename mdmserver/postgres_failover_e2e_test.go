package mdmserver_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/postgres"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// A standby that has not heard the last of its primary takes over: its devices go on, the manager is told by another epoch to put again what it wants, and a
// device that enrolled in what was lost is refused without losing its management, and may enrol again.
func TestAStandbyThatLagsTakesOver(t *testing.T) {
	d := newDatabase(t)
	w := onPostgres(t, d)
	w.start(t)
	ctx := t.Context()
	old, _ := w.enrolled(t, 1)
	standby := d.Standby(t, postgres.Options{})
	standby.Stop()
	newcomer, _ := w.enrolled(t, 2)
	before, err := w.admin.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}

	d.Crash()
	standby.Resume()
	d.at(t, standby.Port(), "one")
	w.eventually(t, "DatabaseIsStandby")
	wantRetry(t, w.mac(t, 3).Enroll(ctx, "https://"+serverfiles.Host+"/enroll/none"))
	standby.Promote()
	postgres.Eventually(t, "an idle device to be served", func(ctx context.Context) bool { return old.Idle(ctx) == nil })
	after, err := w.admin.Info(ctx)
	if err != nil || after.StoreEpoch == before.StoreEpoch || after.Enrolled != 1 {
		t.Fatalf("before %+v, after %+v, %v", before, after, err)
	}
	refused := new(devicesim.StatusError)
	if err := newcomer.Idle(ctx); !errors.As(err, &refused) || refused.Code != http.StatusForbidden || !newcomer.Enrolled() {
		t.Errorf("a device that the store has not heard of: %v, still enrolled: %v", err, newcomer.Enrolled())
	}
	if err := newcomer.Unenroll(ctx); !errors.As(err, &refused) || refused.Code != http.StatusForbidden {
		t.Errorf("checking out of what the store has not heard of: %v", err)
	}
	if err := newcomer.Enroll(ctx, w.token(t, "fleet/again")); err != nil {
		t.Errorf("enrolling again: %v", err)
	}
	w.eventually(t, "")
	if err := old.Idle(ctx); err != nil || !old.Enrolled() {
		t.Errorf("a device that the store knew: %v, still enrolled: %v", err, old.Enrolled())
	}
	if err := w.stop(); err != nil { // before its database
		t.Errorf("stopping: %v", err)
	}
}
