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
	devices     map[string]adminapi.Device
	serials     map[string]string // serial number -> device id
	artifacts   map[adminapi.Key]adminapi.ArtifactStatus
	assignments map[string]adminapi.Assignment
	assigned    map[adminapi.Key]map[string]struct{} // artifact -> ids of the devices it is assigned to
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
		devices: map[string]adminapi.Device{}, serials: map[string]string{},
		artifacts:   map[adminapi.Key]adminapi.ArtifactStatus{},
		assignments: map[string]adminapi.Assignment{}, assigned: map[adminapi.Key]map[string]struct{}{},
		actions: map[adminapi.Key]adminapi.ActionStatus{}, tokens: map[adminapi.Key]adminapi.TokenStatus{},
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

func each[T any](ctx context.Context, list func(context.Context, string, int) (*adminapi.Page[T], error), set func(T)) error {
	items, err := adminapi.All(ctx, list)
	for _, item := range items {
		set(item)
	}
	return err
}

// Client makes the calls that this package does not wrap.
func (s *Server) Client() *adminapi.Client { return s.client }

// Info is the server's state as it was last read.
func (s *Server) Info() adminapi.Info {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.info
}

// Refresh reads the server's state. When it says something new about push or certificates, KindServer's sources hear of it.
func (s *Server) Refresh(ctx context.Context) (adminapi.Info, error) {
	info, err := s.client.Info(ctx)
	if err != nil {
		return adminapi.Info{}, err
	}
	s.mu.Lock()
	was := s.info
	s.info = *info
	s.mu.Unlock()
	if was.Push.Paused != info.Push.Paused || was.Push.Reason != info.Push.Reason || was.Push.Certificate != info.Push.Certificate ||
		was.Push.LastAccepted.IsZero() != info.Push.LastAccepted.IsZero() || !slices.Equal(was.IdentityCAs, info.IdentityCAs) {
		s.refreshed()
	}
	return *info, nil
}

// Device returns the device with an id.
func (s *Server) Device(id string) (adminapi.Device, bool) { return read(s, s.devices, id) }

// DeviceBySerial returns the device with a serial number.
func (s *Server) DeviceBySerial(serial string) (adminapi.Device, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	d, ok := s.devices[s.serials[serial]]
	return d, ok
}

// Devices ranges over a snapshot of all devices in no order.
func (s *Server) Devices() iter.Seq[adminapi.Device] { return snapshot(s, s.devices) }

// Artifact returns the state of an artifact.
func (s *Server) Artifact(key adminapi.Key) (adminapi.ArtifactStatus, bool) {
	return read(s, s.artifacts, key)
}

// Assignment returns what is assigned to a device. Its slice must not be changed.
func (s *Server) Assignment(deviceID string) (adminapi.Assignment, bool) {
	return read(s, s.assignments, deviceID)
}

// Targeted counts the devices that an artifact is assigned to, as the server counts them: neither ended nor ignored.
func (s *Server) Targeted(artifact adminapi.Key) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := 0
	for id := range s.assigned[artifact] {
		d, known := s.devices[id]
		if known && d.EnrollmentID == s.assignments[id].EnrollmentID && d.State != adminapi.DeviceEnded && !d.Ignored {
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

func snapshot[K comparable, V any](s *Server, table map[K]V) iter.Seq[V] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Values(slices.Collect(maps.Values(table)))
}
