package link_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// replica starts another pod of a server, which says info of itself, and returns its address.
func (f *fakeServer) replica(t *testing.T, info adminapi.Info) string {
	t.Helper()
	r := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, info) }))
	r.TLS = f.TLS.Clone()
	r.StartTLS()
	t.Cleanup(r.Close)
	return r.Listener.Addr().String()
}

func ca(fingerprint string) adminapi.CAInfo {
	return adminapi.CAInfo{CertificateInfo: adminapi.CertificateInfo{Fingerprint: fingerprint}}
}

func TestTheLeastAdvancedReplicaCounts(t *testing.T) {
	day := func(n int) adminapi.CertificateInfo {
		return adminapi.CertificateInfo{Fingerprint: string(rune('a' + n)), NotAfter: time.Unix(int64(n), 0).UTC()}
	}
	for name, c := range map[string]struct {
		a, b  adminapi.Info
		holds func(adminapi.Info) bool
	}{
		"version": {
			adminapi.Info{Version: "v0.10.0"}, adminapi.Info{Version: "v0.9.1"},
			func(i adminapi.Info) bool { return i.Version == "v0.9.1" },
		},
		"a generation of one only": {
			adminapi.Info{IdentityCAs: []adminapi.CAInfo{ca("1"), ca("2")}, WSTEPCAs: []adminapi.CAInfo{ca("3")}},
			adminapi.Info{IdentityCAs: []adminapi.CAInfo{ca("1")}, WSTEPCAs: []adminapi.CAInfo{ca("4"), ca("3")}},
			func(i adminapi.Info) bool {
				return len(i.IdentityCAs) == 1 && i.IdentityCAs[0] == ca("1") && len(i.WSTEPCAs) == 1 && i.WSTEPCAs[0] == ca("3")
			},
		},
		"a sealing key of one only": {
			adminapi.Info{SealingKeys: []string{"key-2", "key-1"}}, adminapi.Info{SealingKeys: []string{"key-1"}},
			func(i adminapi.Info) bool { return len(i.SealingKeys) == 1 && i.SealingKeys[0] == "key-1" },
		},
		"an older certificate": {
			adminapi.Info{Serving: day(2), Push: adminapi.PushInfo{Certificate: day(2)}}, adminapi.Info{Serving: day(1), Push: adminapi.PushInfo{Certificate: day(1)}},
			func(i adminapi.Info) bool { return i.Serving == day(1) && i.Push.Certificate == day(1) },
		},
		"paused pushing": {
			adminapi.Info{Push: adminapi.PushInfo{Reason: "BadDeviceToken", LastAccepted: time.Unix(5, 0)}}, adminapi.Info{Push: adminapi.PushInfo{Paused: true, Reason: "Forbidden"}},
			func(i adminapi.Info) bool {
				return i.Push.Paused && i.Push.Reason == "Forbidden" && !i.Push.LastAccepted.IsZero()
			},
		},
		"refused files": {
			adminapi.Info{Refused: map[string]string{"push": "x"}}, adminapi.Info{Refused: map[string]string{"serving": "y"}},
			func(i adminapi.Info) bool { return len(i.Refused) == 2 },
		},
		"a store that is away": {
			adminapi.Info{Enrolled: 7, StoreEpoch: "e"}, adminapi.Info{Store: adminapi.StoreProblem{Reason: "StoreUnavailable", Message: "no route"}},
			func(i adminapi.Info) bool {
				return i.Enrolled == 7 && i.StoreEpoch == "e" && i.Store.Message == "no route"
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeServer(t)
			w := watch(t, all, link.KindServer)
			s := w.connect(t, f)
			for _, order := range [][]adminapi.Info{{c.a, c.b}, {c.b, c.a}} {
				replicas := link.Replicas{Addresses: []string{f.replica(t, order[0]), f.replica(t, order[1])}, Pods: 2}
				answers, err := w.Ask(t.Context(), serverName, replicas)
				if err != nil {
					t.Fatal(err)
				}
				if answers.Answered != 2 || len(answers.Failed) != 0 || !c.holds(answers.Info) || !c.holds(s.Info()) || !c.holds(s.Everywhere()) {
					t.Errorf("answers %+v, everywhere %+v", answers, s.Everywhere())
				}
			}
		})
	}
}

// A generation that a replica does not know must not issue, and a replica that is not asked may not know it.
func TestNothingIsConfirmedUntilEveryReplicaAnswers(t *testing.T) {
	f := newFakeServer(t)
	w := watch(t, all, link.KindServer)
	s := w.connect(t, f)
	if got := s.Everywhere(); got.Version != "" {
		t.Errorf("%+v is confirmed by the one replica that the session began with", got)
	}
	good := f.replica(t, adminapi.Info{Version: "v1", IdentityCAs: []adminapi.CAInfo{ca("1")}})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, c := range map[string]struct {
		replicas          link.Replicas
		failed, confirmed int
	}{
		"all":                   {link.Replicas{Addresses: []string{good, good}, Pods: 2}, 0, 1},
		"one does not answer":   {link.Replicas{Addresses: []string{good, gone.Listener.Addr().String()}, Pods: 2}, 1, 0},
		"one has no address":    {link.Replicas{Addresses: []string{good}, Pods: 2}, 0, 0},
		"one to be asked alone": {link.Replicas{Addresses: []string{good}}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			answers, err := w.Ask(t.Context(), serverName, c.replicas)
			if err != nil {
				t.Fatal(err)
			}
			if len(answers.Failed) != c.failed || len(s.Info().IdentityCAs) != 1 || len(s.Everywhere().IdentityCAs) != c.confirmed {
				t.Errorf("answers %+v, confirmed %+v", answers, s.Everywhere())
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	f := newFakeServer(t)
	w := watch(t, all, link.KindServer)
	if _, err := w.Ask(t.Context(), serverName, link.Replicas{}); !errors.Is(err, link.ErrUnknown) {
		t.Errorf("a server that nobody connected: %v", err)
	}
	w.connect(t, f)
	if _, err := w.Ask(t.Context(), serverName, link.Replicas{Pods: 2}); err == nil || !strings.Contains(err.Error(), "no pod has an address") {
		t.Errorf("pods without addresses: %v", err)
	}
	f.Close()
	if _, err := w.Ask(t.Context(), serverName, link.Replicas{}); err == nil {
		t.Error("a server that is gone answers")
	}
}

// While the store is away no session is possible, and the replicas say why.
func TestStoreIsAway(t *testing.T) {
	f := newFakeServer(t)
	f.refused = true // any reason to have no session
	w := watch(t, all, link.KindServer)
	w.Connect(serverName, f.endpoint)
	receive(t, "event of the connection", w.events)
	away := adminapi.Info{Version: "v1", Store: adminapi.StoreProblem{Reason: "StoreUnavailable", Message: "no route"}}
	answers, err := w.Ask(t.Context(), serverName, link.Replicas{Addresses: []string{f.replica(t, away)}, Pods: 1})
	if err != nil || answers.Usable != 0 || answers.Info.Store != away.Store {
		t.Errorf("answers %+v, error %v", answers, err)
	}
	if _, err := w.Ask(t.Context(), serverName, link.Replicas{}); adminapi.CodeOf(err) != adminapi.CodeAnotherManager {
		t.Errorf("a server with a store, and without a session: %v", err)
	}
}
