package link

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubemdm/kubemdm/controllers/internal/pool"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// Server is one session with a server: a mirror of its rows, and the calls that write. It is safe for concurrent use.
//
// A reconciler that brings a row to the API server takes Pending first, reads the row, writes, and then calls Done with that
// version: what changed in between is offered again.
type Server struct {
	name      types.NamespacedName
	epoch     string
	client    *adminapi.Client
	acks      *acks
	refreshed func() // Info changed in a way that others look at

	mu          sync.RWMutex
	info        adminapi.Info
	complete    bool               // info is what holds of every replica
	revision    int64              // counts the changes of devices and assignments
	devices     map[string]*device // never changed, only replaced
	serials     map[string]string  // serial number -> device id
	artifacts   map[adminapi.Key]adminapi.ArtifactStatus
	assignments map[string]assignment // by device id
	commons     pool.Pool[*common]
	sets        pool.Pool[[]adminapi.Key]
	actions     map[adminapi.Key]adminapi.ActionStatus
	tokens      map[adminapi.Key]adminapi.TokenStatus
	pending     map[row]int64
}

// row names one row of the mirror.
type row struct {
	kind adminapi.Kind
	key  string
}

// open reads the server's Info and all its rows.
func open(ctx context.Context, name types.NamespacedName, client *adminapi.Client) (*Server, error) {
	info, err := client.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the server's state: %w", err)
	}
	s := &Server{
		name: name, epoch: info.StoreEpoch, client: client, acks: newAcks(client, info.StoreEpoch), info: *info,
		devices: map[string]*device{}, serials: map[string]string{},
		artifacts:   map[adminapi.Key]adminapi.ArtifactStatus{},
		assignments: map[string]assignment{},
		actions:     map[adminapi.Key]adminapi.ActionStatus{}, tokens: map[adminapi.Key]adminapi.TokenStatus{},
		pending: map[row]int64{},
	}
	if err := s.list(ctx); err != nil {
		return nil, fmt.Errorf("listing the server's rows: %w", err)
	}
	return s, nil
}

func (s *Server) list(ctx context.Context) error {
	if err := each(ctx, s.client.Devices, s.setDevice); err != nil {
		return err
	}
	if err := each(ctx, s.client.Artifacts, s.setArtifact); err != nil {
		return err
	}
	if err := each(ctx, s.client.Assignments, s.setAssignment); err != nil {
		return err
	}
	if err := each(ctx, s.client.Actions, s.setAction); err != nil {
		return err
	}
	return each(ctx, s.client.Tokens, s.setToken)
}

// each reads a list page by page, so that it never stands in memory twice.
func each[T any](ctx context.Context, list func(context.Context, string, int) (*adminapi.Page[T], error), set func(T)) error {
	for after := ""; ; {
		page, err := list(ctx, after, adminapi.MaxPage)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			set(item)
		}
		if page.Next == "" {
			return nil
		}
		after = page.Next
	}
}

// Client makes the calls that this package does not wrap.
func (s *Server) Client() *adminapi.Client { return s.client }

// Info is the server's state as it was last read, of the least advanced of several replicas.
func (s *Server) Info() adminapi.Info {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.info
}

// Everywhere is Info if every replica has been asked since the session began and answered the last time, and else an empty one: what counts as confirmed
// must be so wherever a device may come.
func (s *Server) Everywhere() adminapi.Info {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.complete {
		return adminapi.Info{}
	}
	return s.info
}

// heard takes what the replicas answered. When it says something new about push or certificates, KindServer's sources hear of it.
func (s *Server) heard(a *Answers) {
	s.mu.Lock()
	was, info := s.info, a.Info
	s.info, s.complete = info, a.complete
	s.mu.Unlock()
	if was.Push.Paused != info.Push.Paused || was.Push.Reason != info.Push.Reason || was.Push.Certificate != info.Push.Certificate ||
		was.Push.LastAccepted.IsZero() != info.Push.LastAccepted.IsZero() || !slices.Equal(was.IdentityCAs, info.IdentityCAs) {
		s.refreshed()
	}
}

// Revision changes whenever a device or an assignment does.
func (s *Server) Revision() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revision
}

// Device returns the device with an id.
func (s *Server) Device(id string) (adminapi.Device, bool) {
	d, ok := read(s, s.devices, id)
	return d.unpack(), ok
}

// DeviceBySerial returns the device with a serial number.
func (s *Server) DeviceBySerial(serial string) (adminapi.Device, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, ok := s.devices[s.serials[serial]]
	return d.unpack(), ok
}

// Devices ranges over a snapshot of all devices in no order.
func (s *Server) Devices() iter.Seq[adminapi.Device] {
	s.mu.RLock()
	all := slices.Collect(maps.Values(s.devices))
	s.mu.RUnlock()
	return func(yield func(adminapi.Device) bool) {
		for _, d := range all {
			if !yield(d.unpack()) {
				return
			}
		}
	}
}

// Artifact returns the state of an artifact.
func (s *Server) Artifact(key adminapi.Key) (adminapi.ArtifactStatus, bool) {
	return read(s, s.artifacts, key)
}

// Assignment returns what is assigned to a device. Its slice must not be changed; devices to which the same is assigned share it.
func (s *Server) Assignment(deviceID string) (adminapi.Assignment, bool) {
	a, ok := read(s, s.assignments, deviceID)
	return adminapi.Assignment{DeviceID: deviceID, EnrollmentID: a.enrollmentID, Artifacts: a.artifacts}, ok
}

// Targeted counts the devices that an artifact is assigned to, as the server counts them: neither ended nor ignored.
func (s *Server) Targeted(artifact adminapi.Key) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := 0
	for id, a := range s.assignments {
		if _, has := slices.BinarySearch(a.artifacts, artifact); !has {
			continue
		}
		if d := s.devices[id]; d != nil && d.enrollmentID == a.enrollmentID && d.State != adminapi.DeviceEnded && !d.Ignored {
			n++
		}
	}
	return n
}

// Action returns the state of an action.
func (s *Server) Action(key adminapi.Key) (adminapi.ActionStatus, bool) {
	return read(s, s.actions, key)
}

// Token returns the state of an enrolment token.
func (s *Server) Token(key adminapi.Key) (adminapi.TokenStatus, bool) {
	return read(s, s.tokens, key)
}

// Pending returns the version of a row that the server wants to see acked, or 0.
func (s *Server) Pending(kind adminapi.Kind, key string) int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.pending[row{kind, key}]
}

// Done acks a version of a row: it stands in the API server now. Version 0 acks nothing.
func (s *Server) Done(kind adminapi.Kind, key string, version int64) {
	if version == 0 {
		return
	}
	s.mu.Lock()
	if s.pending[row{kind, key}] == version {
		delete(s.pending, row{kind, key})
	}
	s.mu.Unlock()
	s.acks.add(adminapi.Ack{Kind: kind, Key: key, Version: version})
}

// owns says whether a row may be spoken of by this server: a server never speaks for objects of another namespace.
func (s *Server) owns(c adminapi.Change) bool {
	return c.Kind == adminapi.KindDevice || strings.HasPrefix(c.Key, s.name.Namespace+"/")
}

func read[K comparable, V any](s *Server, table map[K]V, key K) (V, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	v, ok := table[key]
	return v, ok
}
