package managed

import (
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/utils/clock"

	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/admin"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
	"github.com/kubemdm/kubemdm/mdmserver/store"
	"github.com/kubemdm/kubemdm/test/pki"
)

// Fleet is a protocol server without its protocols: the real domain on a real store, behind the real internal API.
type Fleet struct {
	*fleet.Fleet
	t        testing.TB
	clock    clock.PassiveClock
	path     string
	endpoint setup.Endpoint
	stop     func()
	serial   int
}

// jsonEncoder writes deliveries as JSON: these devices read no property lists.
type jsonEncoder struct{}

func (jsonEncoder) Encode(d fleet.Delivery) ([]byte, error) { return json.Marshal(d) }

func startFleet(t testing.TB, c clock.PassiveClock) *Fleet {
	t.Helper()
	f := &Fleet{t: t, clock: c, path: filepath.Join(t.TempDir(), "fleet.db")}
	f.start()
	t.Cleanup(func() { f.stop() })
	return f
}

// start opens the store and listens on a free port of the loopback interface.
func (f *Fleet) start() {
	t := f.t
	t.Helper()
	st, err := store.OpenSQLite(context.Background(), f.path)
	f.must(err)
	ring := seal.Keyring{Primary: "k1", Keys: map[string][]byte{"k1": make([]byte, 32)}}
	f.Fleet, err = fleet.New(st, jsonEncoder{}, fleet.Options{Sealer: seal.New(func() seal.Keyring { return ring }), Now: f.clock.Now})
	f.must(err)
	stopping := make(chan struct{})
	ca := pki.NewCA(t, "admin")
	server := httptest.NewUnstartedServer(admin.New(admin.Options{Fleet: f.Fleet, Info: f.info, Stopping: stopping, Log: logger(t)}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, pki.Leaf{CN: "server", Names: []string{"127.0.0.1"}})},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	}
	server.StartTLS()
	f.endpoint = setup.Endpoint{URL: server.URL, CA: ca.CertPEM()}
	f.endpoint.Cert, f.endpoint.Key = pki.PEM(t, ca.Issue(t, pki.Leaf{CN: "manager"}))
	f.stop = sync.OnceFunc(func() {
		close(stopping)
		server.CloseClientConnections()
		server.Close()
		_ = st.Close()
	})
}

func (f *Fleet) info(ctx context.Context) (*adminapi.Info, error) {
	lease, err := f.LeaseEpoch(ctx)
	return &adminapi.Info{Version: "test", StoreEpoch: f.StoreEpoch(), LeaseEpoch: lease}, err
}

// Stop ends the server; its store stays.
func (f *Fleet) Stop() { f.stop() }

// Restart ends the server and starts it again on its store, elsewhere: Bench.Connect finds it there.
func (f *Fleet) Restart() {
	f.t.Helper()
	f.stop()
	f.start()
}

// Replace ends the server and starts it on an empty store.
func (f *Fleet) Replace() {
	f.t.Helper()
	f.stop()
	f.path = filepath.Join(f.t.TempDir(), "fleet.db")
	f.start()
}

// dirty counts the rows of a kind that the manager has not acked. The store is asked, since whoever asks the fleet for them takes them from the manager.
func (f *Fleet) dirty(kind adminapi.Kind) int {
	f.t.Helper()
	db, err := sql.Open("sqlite", f.path)
	f.must(err)
	defer db.Close()
	var n int
	f.must(db.QueryRowContext(f.t.Context(), "SELECT COUNT(*) FROM dirty WHERE kind = ?", kind).Scan(&n))
	return n
}

func (f *Fleet) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}
