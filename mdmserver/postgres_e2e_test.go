package mdmserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/postgres"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// role is who the server is in the database.
const role = "kubemdm"

// database is a PostgreSQL of the test's own, with the folder that a mounted Secret would be.
type database struct {
	*postgres.Cluster
	name, dir string
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	d := &database{Cluster: postgres.Start(t, postgres.Options{}), dir: t.TempDir()}
	d.name = d.Database(t, "")
	d.Exec(d.name, "CREATE ROLE "+role+" LOGIN PASSWORD 'one'")
	d.Exec(d.name, "GRANT ALL ON SCHEMA public TO "+role)
	d.secret(t, "one")
	return d
}

// secret writes what the Secret says.
func (d *database) secret(t *testing.T, password string) {
	t.Helper()
	d.at(t, d.Port(), password)
}

// at is secret for another port that leads to the database.
func (d *database) at(t *testing.T, port int, password string) {
	t.Helper()
	uri := fmt.Sprintf("postgresql://%s:%s@127.0.0.1:%d/%s?sslmode=disable", role, password, port, d.name)
	if err := os.WriteFile(filepath.Join(d.dir, "uri"), []byte(uri), 0o600); err != nil {
		t.Fatal(err)
	}
}

// onPostgres prepares a world whose server keeps its state in the database. start starts it.
func onPostgres(t *testing.T, d *database) *world {
	t.Helper()
	w := prepare(t)
	w.Config.Store = serverconfig.Store{Postgres: &serverconfig.Postgres{Dir: d.dir, MaxConnections: 6}}
	return w
}

// replica starts a second server with the files of the first.
func (w *world) replica(t *testing.T) *world {
	t.Helper()
	other := &world{Files: w.Files, apns: w.apns, pushes: w.pushes, restarts: w.restarts}
	other.start(t)
	return other
}

// eventually waits until the server reports a reason for its store.
func (w *world) eventually(t *testing.T, reason string) {
	t.Helper()
	postgres.Eventually(t, "the server to say of its store "+strconv.Quote(reason), func(ctx context.Context) bool {
		info, err := w.admin.Info(ctx)
		return err == nil && info.Store.Reason == reason
	})
}

// wantRetry lets the device connect, which is told to come back.
func wantRetry(t *testing.T, err error) {
	t.Helper()
	if status := new(devicesim.StatusError); !errors.As(err, &status) || status.Code != http.StatusServiceUnavailable {
		t.Errorf("the device hears %v, want 503", err)
	}
}

func TestADatabaseThatIsAwayAtTheStart(t *testing.T) {
	d := newDatabase(t)
	d.Stop()
	w := onPostgres(t, d)
	w.start(t)
	w.eventually(t, "DatabaseUnreachable")
	if status, _ := w.get(t, "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz is %d: kubelet would restart the server for nothing", status)
	}
	if status, _ := w.get(t, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz is %d before the store was ever there", status)
	}
	wantRetry(t, w.mac(t, 1).Enroll(t.Context(), "https://"+serverfiles.Host+"/enroll/none"))
	d.Resume()
	w.eventually(t, "")
	if status, _ := w.get(t, "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz is %d", status)
	}
	w.enrolled(t, 1)
}

// What goes wrong with the database makes devices come back later, shows in what the server says of itself, and passes by itself.
func TestADatabaseThatFailsMeanwhile(t *testing.T) {
	d := newDatabase(t)
	w := onPostgres(t, d)
	w.start(t)
	mac, _ := w.enrolled(t, 1)
	for _, tc := range []struct {
		name, reason string
		spoil, mend  func()
	}{
		{"stopped", "DatabaseUnreachable", d.Stop, d.Resume},
		{"crashed", "DatabaseUnreachable", d.Crash, d.Resume},
		{
			"another password", "DatabaseLoginRefused",
			func() {
				d.Exec(d.name, "ALTER ROLE "+role+" PASSWORD 'two'")
				d.hangUp()
			},
			func() { d.secret(t, "two") },
		},
		{
			"no login", "DatabaseLoginRefused",
			func() {
				d.Exec(d.name, "ALTER ROLE "+role+" NOLOGIN")
				d.hangUp()
			},
			func() { d.Exec(d.name, "ALTER ROLE "+role+" LOGIN") },
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spoil()
			wantRetry(t, mac.Idle(t.Context()))
			w.eventually(t, tc.reason)
			if status, _ := w.get(t, "/readyz"); status != http.StatusOK {
				t.Errorf("/readyz is %d: no replica would be left to answer", status)
			}
			tc.mend()
			w.eventually(t, "")
			if err := mac.Idle(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if !mac.Enrolled() {
				t.Fatal("the device has left management")
			}
		})
	}
}

// hangUp ends the sessions of the server.
func (d *database) hangUp() {
	d.Exec(d.name, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+role+"'")
}

func TestReplicasAreOneServer(t *testing.T) {
	d := newDatabase(t)
	one := onPostgres(t, d)
	one.start(t)
	two := one.replica(t)
	mac, device := one.enrolled(t, 1)

	polled := make(chan *adminapi.Changes, 1)
	go func() {
		got, err := two.admin.Changes(t.Context(), 20*time.Second, 10)
		if err != nil {
			t.Error(err)
		}
		polled <- got
	}()
	began := time.Now()
	if _, err := one.admin.PutAction(t.Context(), adminapi.Action{
		Key: "fleet/look", SpecHash: "1", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation},
		Targets: []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}},
	}); err != nil {
		t.Fatal(err)
	}
	if got := <-polled; got == nil || len(got.Changes) == 0 || time.Since(began) > 10*time.Second {
		t.Errorf("a long poll of the other replica has %+v after %s", got, time.Since(began))
	}
	epochs := map[string]bool{}
	for _, w := range []*world{one, two} {
		info, err := w.admin.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		epochs[info.StoreEpoch] = true
	}
	if err := one.stop(); err != nil {
		t.Fatal(err)
	}
	three := two.replica(t)
	info, err := three.admin.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if epochs[info.StoreEpoch] = true; len(epochs) != 1 {
		t.Errorf("the epoch does not outlive a rolling update: %v", epochs)
	}
	one.addrs = three.addrs // the device comes to another replica
	if err := mac.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	three.await(t, func(c adminapi.Change) bool { return c.Action != nil && c.Action.Counts[adminapi.TargetSucceeded] == 1 })
}
