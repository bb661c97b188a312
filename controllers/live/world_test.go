package live_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/live"
	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/pki"
)

const namespace = "fleet"

// world is a namespace with servers that answer what a test says.
type world struct {
	*testing.T
	client    client.Client
	resources map[string]rest.Storage
	ca        *pki.CA
	allowed   map[string]bool // verbs that the authorizer allows
	epoch     atomic.Int64

	mu      sync.Mutex
	servers map[string]*server // by name
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, ca: pki.NewCA(t, "admin"), allowed: map[string]bool{}, servers: map[string]*server{}}
	w.epoch.Store(7)
	b := fake.NewClientBuilder().WithScheme(setup.Scheme())
	if err := setup.IndexFields(t.Context(), indexed{b}); err != nil {
		t.Fatal(err)
	}
	w.client = b.Build()
	w.resources = live.Resources(live.Options{
		Reader: w.client, Writer: w.client, Dial: w.dial, Clock: clock.RealClock{}, Log: testr.NewWithInterface(t, testr.Options{}),
		Epoch: func(context.Context) (int64, error) { return w.epoch.Load(), nil },
	}, authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if w.allowed[a.GetVerb()] {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	}))
	return w
}

type indexed struct{ *fake.ClientBuilder }

func (i indexed) IndexField(_ context.Context, obj client.Object, field string, values client.IndexerFunc) error {
	i.WithIndex(obj, field, values)
	return nil
}

// dial leads https://<server>-admin.fleet.svc to the server.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	name, _, _ := strings.Cut(address, "-admin.")
	w.mu.Lock()
	s := w.servers[name]
	w.mu.Unlock()
	if s == nil || s.isDown() {
		return nil, errors.New("connection refused")
	}
	return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
}

// ctx is that of a request of anna.
func (w *world) ctx() context.Context {
	ctx := genericapirequest.WithNamespace(w.Context(), namespace)
	return genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: "anna"})
}

func (w *world) create(objs ...client.Object) {
	w.Helper()
	for _, o := range objs {
		o.SetNamespace(namespace)
		w.must(w.client.Create(w.Context(), o))
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// server is an MDMServer whose internal API answers from a table of paths.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	down    bool
	answers map[string]func(*http.Request) any // by method and path
	calls   []string
}

func (w *world) server(name string) *server {
	w.Helper()
	s := &server{answers: map[string]func(*http.Request) any{}}
	s.Server = httptest.NewUnstartedServer(s)
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{w.ca.Issue(w, pki.Leaf{CN: "server", Names: []string{name + "-admin." + namespace + ".svc"}})},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: w.ca.Pool(),
	}
	s.EnableHTTP2 = true
	s.StartTLS()
	w.Cleanup(s.Close)
	w.mu.Lock()
	w.servers[name] = s
	w.mu.Unlock()
	cert, key := pki.PEM(w, w.ca.Issue(w, pki.Leaf{CN: "manager"}))
	w.create(
		&mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name + "-admin-client"}, Data: map[string][]byte{"tls.crt": cert, "tls.key": key, "ca.crt": w.ca.CertPEM()}},
	)
	return s
}

// on answers a path; an adminapi.Error is answered as one.
func (s *server) on(path string, answer func(*http.Request) any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = answer
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.Method + " " + r.URL.Path
	s.mu.Lock()
	s.calls = append(s.calls, path)
	answer := s.answers[path]
	s.mu.Unlock()
	var out any = &adminapi.Error{Code: adminapi.CodeNotFound, Message: "nothing is at " + path}
	if answer != nil {
		out = answer(r)
	}
	if e, failed := out.(*adminapi.Error); failed {
		w.WriteHeader(map[adminapi.Code]int{adminapi.CodeNotFound: 404, adminapi.CodeAnotherManager: 409, adminapi.CodeUnavailable: 503}[e.Code])
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (s *server) stop(down bool) {
	s.mu.Lock()
	s.down = down
	s.mu.Unlock()
	if down {
		s.CloseClientConnections()
	}
}

func (s *server) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// device makes a Device of the server "main" whose device has told its UDID.
func (w *world) device(name, udid string) {
	w.Helper()
	d := &mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: mdmv1alpha1.DeviceSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: "main"}, SerialNumber: "S" + udid,
	}}
	d.Status.Hardware = &mdmv1alpha1.DeviceHardware{UDID: udid}
	w.create(d)
}

// history answers the history of a server whose store is named: entries with numbers that the test chose.
type history struct {
	mu      sync.Mutex
	store   string
	entries []adminapi.HistoryEntry
	last    int64
	more    chan struct{}
}

func (s *server) history(store string) *history {
	h := &history{store: store, more: make(chan struct{})}
	s.on("GET "+adminapi.PathHistory, h.answer)
	return h
}

func (h *history) add(seq int64, device string, kind adminapi.HistoryType, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, adminapi.HistoryEntry{Seq: seq, At: at, DeviceID: device, Channel: device, Type: kind})
	h.last = max(h.last, seq)
	close(h.more)
	h.more = make(chan struct{})
}

func (h *history) answer(r *http.Request) any {
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get(adminapi.QueryLimit))
	wait, _ := time.ParseDuration(q.Get(adminapi.QueryWait))
	deadline := time.After(wait)
	for {
		page, more := h.page(q.Get(adminapi.QueryAfter), limit)
		if len(page.Items) > 0 || q.Get(adminapi.QueryAfter) == "" {
			return page
		}
		select {
		case <-more:
		case <-deadline:
			return page
		case <-r.Context().Done():
			return page
		}
	}
}

func (h *history) page(text string, limit int) (*adminapi.HistoryPage, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	page := &adminapi.HistoryPage{StoreEpoch: h.store + "." + strconv.Itoa(len(h.entries)), Next: h.last}
	after, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return page, h.more
	}
	page.Next = after
	for _, e := range h.entries {
		if e.Seq > after && len(page.Items) < limit {
			page.Items, page.Next = append(page.Items, e), e.Seq
		}
	}
	return page, h.more
}
