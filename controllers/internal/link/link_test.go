package link_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const leaseEpoch = 1700000000000001

var serverName = types.NamespacedName{Namespace: "fleet", Name: "mdm"}

// fakeServer answers the internal API from lists, over mutual TLS.
type fakeServer struct {
	*httptest.Server
	endpoint link.Endpoint

	mu      sync.Mutex
	epoch   string
	paused  bool
	refused bool // another manager is obeyed
	devices []adminapi.Device
	tokens  []adminapi.TokenStatus
	assigns []adminapi.Assignment
	stale   []string // ids that PUTs of assignments and intents are answered with
	batches []int    // sizes of the PUTs of assignments
	// refuseAfter is how many of them are taken; 0: all.
	refuseAfter int
	feed        chan adminapi.Changes
	acked       chan adminapi.Acks
	lease       chan string
}

func newFakeServer(t *testing.T) *fakeServer {
	f := &fakeServer{epoch: "a", feed: make(chan adminapi.Changes), acked: make(chan adminapi.Acks, 16), lease: make(chan string, 64)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+adminapi.PathInfo, func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		answer(w, adminapi.Info{Version: "v1", StoreEpoch: f.epoch, Push: adminapi.PushInfo{Paused: f.paused}})
	})
	mux.HandleFunc("GET "+adminapi.PathDevices, func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		answer(w, page(f.devices, r))
	})
	mux.HandleFunc("GET "+adminapi.PathTokens, func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		answer(w, page(f.tokens, r))
	})
	mux.HandleFunc("GET "+adminapi.PathAssignments, func(w http.ResponseWriter, r *http.Request) {
		answer(w, page(f.assigns, r))
	})
	for _, path := range []string{adminapi.PathArtifacts, adminapi.PathActions} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { answer(w, adminapi.Page[struct{}]{}) })
	}
	mux.HandleFunc("PUT "+adminapi.PathTokens+"/{ns}/{name}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, adminapi.TokenStatus{Key: adminapi.Key(r.PathValue("ns") + "/" + r.PathValue("name")), Uses: 3})
	})
	mux.HandleFunc("PUT "+adminapi.PathAssignments, func(w http.ResponseWriter, r *http.Request) {
		var batch adminapi.AssignmentBatch
		_ = json.NewDecoder(r.Body).Decode(&batch)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.batches = append(f.batches, len(batch.Assignments))
		if f.refuseAfter > 0 && len(f.batches) > f.refuseAfter {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer(w, adminapi.AssignmentReply{Stale: f.stale})
	})
	mux.HandleFunc("PUT "+adminapi.PathDeviceIntents, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, adminapi.IntentReply{Stale: f.stale})
	})
	mux.HandleFunc("DELETE "+adminapi.PathArtifacts+"/{ns}/{name}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET "+adminapi.PathChanges, func(w http.ResponseWriter, r *http.Request) {
		select {
		case f.lease <- r.Header.Get(adminapi.HeaderLeaseEpoch):
		default:
		}
		f.mu.Lock()
		refused, epoch := f.refused, f.epoch
		f.mu.Unlock()
		if refused {
			w.WriteHeader(http.StatusConflict)
			answer(w, adminapi.Error{Code: adminapi.CodeAnotherManager, Message: "a manager that became leader later is at work"})
			return
		}
		wait, err := time.ParseDuration(r.URL.Query().Get(adminapi.QueryWait))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		select {
		case changes := <-f.feed:
			answer(w, changes)
		case <-time.After(wait):
			answer(w, adminapi.Changes{StoreEpoch: epoch})
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST "+adminapi.PathChangesAck, func(w http.ResponseWriter, r *http.Request) {
		var acks adminapi.Acks
		_ = json.NewDecoder(r.Body).Decode(&acks)
		f.acked <- acks
	})

	ca, clientCert, clientKey := clientPair(t)
	f.Server = httptest.NewUnstartedServer(mux)
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	f.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	f.StartTLS()
	t.Cleanup(f.Close)
	f.endpoint = link.Endpoint{
		URL: f.URL, Cert: clientCert, Key: clientKey,
		CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw}),
	}
	return f
}

// page cuts lists into pages of one item, so that paging is used.
func page[T any](items []T, r *http.Request) adminapi.Page[T] {
	from, _ := strconv.Atoi(r.URL.Query().Get(adminapi.QueryAfter))
	p := adminapi.Page[T]{}
	if from < len(items) {
		p.Items = items[from : from+1]
	}
	if from+1 < len(items) {
		p.Next = strconv.Itoa(from + 1)
	}
	return p
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func clientPair(t *testing.T) (ca *x509.Certificate, certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "manager"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca, _ = x509.ParseCertificate(der)
	keyDER, _ := x509.MarshalPKCS8PrivateKey(key)
	return ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// watched is a registry whose events can be received.
type watched struct {
	*link.Registry
	events chan link.Event
}

// watch starts a registry. wanted says whether an event becomes a request.
func watch(t *testing.T, wanted func(link.Event) bool, kinds ...adminapi.Kind) *watched {
	t.Helper()
	w := &watched{events: make(chan link.Event, 256), Registry: link.NewRegistry(link.Options{
		Epoch: func(context.Context) (int64, error) { return leaseEpoch, nil },
		Log:   testr.New(t),
	})}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = w.Start(ctx)
	}()
	t.Cleanup(func() { cancel(); <-stopped })
	for _, kind := range kinds {
		record := recordTo(w.events)
		src := w.Source(kind, func(ctx context.Context, e link.Event) []reconcile.Request {
			if requests := record(ctx, e); wanted(e) {
				return requests
			}
			return nil
		})
		if err := src.Start(ctx, newQueue(t)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func recordTo(events chan<- link.Event) link.Handler {
	return func(ctx context.Context, e link.Event) []reconcile.Request {
		events <- e
		return link.ToServer(ctx, e)
	}
}

func newQueue(t *testing.T) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(q.ShutDown)
	return q
}

func all(link.Event) bool { return true }

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s came", what)
		panic("unreachable")
	}
}

func send[T any](t *testing.T, what string, to chan<- T, v T) {
	t.Helper()
	select {
	case to <- v:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s was not taken", what)
	}
}
