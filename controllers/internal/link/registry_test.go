package link_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const tokenKey = "fleet/staff"

func (w *watched) connect(t *testing.T, f *fakeServer) *link.Server {
	t.Helper()
	w.Connect(serverName, f.endpoint)
	for {
		receive(t, "event of the connection", w.events)
		if s, err := w.Server(serverName); err == nil {
			return s
		}
	}
}

// next skips events about all rows.
func (w *watched) next(t *testing.T) link.Event {
	t.Helper()
	for {
		if e := receive(t, "event", w.events); e.Key != "" {
			return e
		}
	}
}

func TestConnectMirrorsEverything(t *testing.T) {
	f := newFakeServer(t)
	f.devices = []adminapi.Device{{ID: "old", SerialNumber: "S1", State: adminapi.DeviceEnded}, {ID: "new", SerialNumber: "S1", State: adminapi.DeviceEnrolled}}
	f.tokens = []adminapi.TokenStatus{{Key: tokenKey, Uses: 1}}
	f.assigns = []adminapi.Assignment{{DeviceID: "new", Artifacts: []adminapi.Key{"fleet/wifi"}}, {DeviceID: "a", Artifacts: []adminapi.Key{"fleet/wifi"}}}
	w := watch(t, all, link.KindServer)
	if _, err := w.Server(serverName); !errors.Is(err, link.ErrUnknown) {
		t.Fatalf("an unknown server: %v", err)
	}
	s := w.connect(t, f)
	if got := len(slices.Collect(s.Devices())); got != 2 {
		t.Errorf("%d devices in the mirror, want 2", got)
	}
	if d, ok := s.DeviceBySerial("S1"); !ok || d.ID != "new" {
		t.Errorf("the serial number leads to %q, want the live device", d.ID)
	}
	if got := s.Targeted("fleet/wifi"); got != 1 {
		t.Errorf("%d devices targeted, want only the known one", got)
	}
	if tok, ok := s.Token(tokenKey); !ok || tok.Uses != 1 {
		t.Errorf("token %+v, known %v", tok, ok)
	}
	if got := receive(t, "poll", f.lease); got != strconv.Itoa(leaseEpoch) {
		t.Errorf("the poll carried the lease epoch %q", got)
	}
}

func TestChangesAreFoldedAndAckedByVersion(t *testing.T) {
	f := newFakeServer(t)
	w := watch(t, all, link.KindServer, adminapi.KindToken)
	s := w.connect(t, f)
	send(t, "a change", f.feed, adminapi.Changes{StoreEpoch: "a", Changes: []adminapi.Change{
		{Kind: adminapi.KindToken, Key: tokenKey, Version: 7, Token: &adminapi.TokenStatus{Key: tokenKey, Uses: 2}},
	}})
	if e := w.next(t); e.Kind != adminapi.KindToken || e.Key != tokenKey || e.Server != serverName {
		t.Fatalf("event %+v", e)
	}
	version := s.Pending(adminapi.KindToken, tokenKey)
	if tok, _ := s.Token(tokenKey); version != 7 || tok.Uses != 2 {
		t.Fatalf("version %d, token %+v", version, tok)
	}
	s.Done(adminapi.KindToken, tokenKey, version)
	s.Done(adminapi.KindToken, tokenKey, s.Pending(adminapi.KindToken, tokenKey)) // nothing is pending any more
	acks := receive(t, "ack", f.acked)
	if acks.StoreEpoch != "a" || len(acks.Acks) != 1 || acks.Acks[0] != (adminapi.Ack{Kind: adminapi.KindToken, Key: tokenKey, Version: 7}) {
		t.Errorf("acks %+v", acks)
	}
}

func TestChangesThatNobodyWantsAreAcked(t *testing.T) {
	f := newFakeServer(t)
	w := watch(t, func(link.Event) bool { return false }, link.KindServer, adminapi.KindToken)
	s := w.connect(t, f)
	send(t, "changes", f.feed, adminapi.Changes{StoreEpoch: "a", Changes: []adminapi.Change{
		{Kind: adminapi.KindToken, Key: tokenKey, Version: 1, Token: &adminapi.TokenStatus{Key: tokenKey}},
		{Kind: adminapi.KindToken, Key: "another-namespace/staff", Version: 2, Token: &adminapi.TokenStatus{Key: "another-namespace/staff"}},
		{Kind: adminapi.KindDevice, Key: "d", Version: 3, Device: &adminapi.Device{ID: "d"}}, // no source of this kind yet
	}})
	var got []int64
	for len(got) < 2 {
		for _, a := range receive(t, "ack", f.acked).Acks {
			got = append(got, a.Version)
		}
	}
	if !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("acked %v, want 1 and 2", got)
	}
	if _, ok := s.Token("another-namespace/staff"); ok {
		t.Error("the server spoke for an object of another namespace")
	}
	if got := s.Pending(adminapi.KindDevice, "d"); got != 3 {
		t.Errorf("the device's change is pending as %d, want 3 until its controller listens", got)
	}
}

func TestDeletedRowsLeaveTheMirror(t *testing.T) {
	f := newFakeServer(t)
	f.devices = []adminapi.Device{{ID: "d", SerialNumber: "S1"}}
	f.assigns = []adminapi.Assignment{{DeviceID: "d", Artifacts: []adminapi.Key{"fleet/wifi"}}}
	w := watch(t, all, link.KindServer, adminapi.KindDevice)
	s := w.connect(t, f)
	send(t, "a change", f.feed, adminapi.Changes{StoreEpoch: "a", Changes: []adminapi.Change{{Kind: adminapi.KindDevice, Key: "d", Version: 1, Deleted: true}}})
	w.next(t)
	_, byID := s.Device("d")
	_, bySerial := s.DeviceBySerial("S1")
	if byID || bySerial || s.Targeted("fleet/wifi") != 0 {
		t.Errorf("left behind: by id %v, by serial %v, targeted %v", byID, bySerial, s.Targeted("fleet/wifi"))
	}
}

func TestPutTakesTheAnswerIntoTheMirror(t *testing.T) {
	f := newFakeServer(t)
	w := watch(t, all, link.KindServer)
	s := w.connect(t, f)
	if _, err := s.PutToken(t.Context(), adminapi.Token{Key: tokenKey}); err != nil {
		t.Fatal(err)
	}
	if tok, ok := s.Token(tokenKey); !ok || tok.Uses != 3 {
		t.Errorf("token %+v, known %v", tok, ok)
	}
}

func TestAnotherStoreIsListedAgain(t *testing.T) {
	f := newFakeServer(t)
	w := watch(t, all, link.KindServer)
	before := w.connect(t, f)
	f.mu.Lock()
	f.epoch, f.tokens = "b", []adminapi.TokenStatus{{Key: tokenKey, Uses: 1}}
	f.mu.Unlock()
	send(t, "the new epoch", f.feed, adminapi.Changes{StoreEpoch: "b"})
	for {
		receive(t, "event", w.events)
		if s, err := w.Server(serverName); err == nil && s != before {
			if _, ok := s.Token(tokenKey); !ok {
				t.Error("the new mirror lacks the token")
			}
			return
		}
	}
}

func TestARefusedManagerIsNeverConnected(t *testing.T) {
	f := newFakeServer(t)
	f.refused = true
	w := watch(t, all, link.KindServer)
	w.Connect(serverName, f.endpoint)
	receive(t, "event of the refusal", w.events)
	s, err := w.Server(serverName)
	if s != nil || adminapi.CodeOf(err) != adminapi.CodeAnotherManager {
		t.Errorf("connected: %v, error %v; a manager that is not obeyed must say so and nothing else", s != nil, err)
	}
}

func TestLossAndRemovalAreTold(t *testing.T) {
	f := newFakeServer(t)
	w := watch(t, all, link.KindServer)
	w.connect(t, f)
	receive(t, "poll", f.lease)
	f.Listener.Close()
	f.CloseClientConnections()
	for {
		if e := receive(t, "event of the loss", w.events); e.Kind == link.KindServer {
			if _, err := w.Server(serverName); err != nil {
				break
			}
		}
	}
	w.Disconnect(serverName)
	if e := receive(t, "event of the removal", w.events); e.Kind != link.KindServer {
		t.Errorf("event %+v", e)
	}
	if _, err := w.Server(serverName); !errors.Is(err, link.ErrUnknown) {
		t.Errorf("a removed server: %v", err)
	}
}

func TestLateSourceHearsOfConnectedServers(t *testing.T) {
	f := newFakeServer(t)
	w := watch(t, all, link.KindServer)
	w.connect(t, f)
	late := make(chan link.Event, 1)
	src := w.Source(adminapi.KindArtifact, recordTo(late))
	if err := src.Start(t.Context(), newQueue(t)); err != nil {
		t.Fatal(err)
	}
	if e := receive(t, "event", late); e.Server != serverName || e.Key != "" {
		t.Errorf("event %+v", e)
	}
}

func TestAnswersTellOfPush(t *testing.T) {
	f := newFakeServer(t)
	w := watch(t, all, link.KindServer)
	s := w.connect(t, f)
	f.mu.Lock()
	f.paused = true
	f.mu.Unlock()
	if answers, err := w.Ask(t.Context(), serverName, link.Replicas{}); err != nil || !answers.Info.Push.Paused || !s.Info().Push.Paused {
		t.Fatalf("answers %+v, error %v", answers, err)
	}
	receive(t, "event of the pause", w.events)
	if _, err := w.Ask(t.Context(), serverName, link.Replicas{}); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-w.events:
		t.Errorf("nothing changed, and yet %+v came", e)
	default:
	}
}

// A server that goes before there was a connection is told of too: whoever saw it in its last moments waits for it.
func TestRemovalOfAServerThatWasNeverConnectedIsTold(t *testing.T) {
	w := watch(t, all, link.KindServer)
	w.Disconnect(serverName)
	if e := receive(t, "event of the removal", w.events); e.Server != serverName || e.Key != "" {
		t.Errorf("event %+v", e)
	}
}

// The controller of MDMServers disconnects one that is gone, whenever it is asked to look at it. Being told of that removal must not ask it to look again.
func TestTheControllerOfServersIsNotToldOfItsOwnRemovals(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := mdmv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	exists := &mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "exists"}}
	handler := link.ToExisting(fake.NewClientBuilder().WithScheme(scheme).WithObjects(exists).Build())
	if got := handler(t.Context(), link.Event{Server: client.ObjectKeyFromObject(exists), Kind: link.KindServer}); len(got) != 1 {
		t.Errorf("%v for a server that exists", got)
	}
	if got := handler(t.Context(), link.Event{Server: types.NamespacedName{Namespace: "fleet", Name: "gone"}, Kind: link.KindServer}); len(got) != 0 {
		t.Errorf("%v for a server that is gone", got)
	}
}
