package link

import (
	"slices"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// fold takes a change into the mirror. The server's word is taken only for rows of its own.
func (s *Server) fold(c adminapi.Change) {
	if !s.owns(c) {
		return
	}
	s.mu.Lock()
	s.pending[row{c.Kind, c.Key}] = c.Version
	s.mu.Unlock()
	switch {
	case c.Deleted:
		s.forget(c.Kind, c.Key)
	case c.Device != nil:
		s.setDevice(*c.Device)
	case c.Artifact != nil:
		s.setArtifact(*c.Artifact)
	case c.Action != nil:
		s.setAction(*c.Action)
	case c.Token != nil:
		s.setToken(*c.Token)
	}
}

func (s *Server) forget(kind adminapi.Kind, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case adminapi.KindDevice:
		s.unindex(key)
		delete(s.devices, key)
		delete(s.assignments, key)
		s.revision++
	case adminapi.KindArtifact:
		delete(s.artifacts, adminapi.Key(key))
		s.withdraw(adminapi.Key(key))
	case adminapi.KindAction:
		delete(s.actions, adminapi.Key(key))
	case adminapi.KindToken:
		delete(s.tokens, adminapi.Key(key))
	}
}

func (s *Server) setDevice(d adminapi.Device) {
	packed := s.pack(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	s.unindex(d.ID)
	s.devices[d.ID] = packed
	// A serial number may stand on two rows, when a repaired device enrolled with a new UDID: the live one counts.
	if other := s.devices[s.serials[d.SerialNumber]]; d.SerialNumber != "" && (other == nil || other.State == adminapi.DeviceEnded) {
		s.serials[d.SerialNumber] = d.ID
	}
}

func (s *Server) unindex(id string) {
	if d := s.devices[id]; d != nil && s.serials[d.serialNumber] == id {
		delete(s.serials, d.serialNumber)
	}
}

func (s *Server) setArtifact(a adminapi.ArtifactStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.artifacts[a.Key] = a
	if a.Withdrawn {
		s.withdraw(a.Key)
	}
}

// withdraw takes an artifact out of all assignments, as the server does when it is deleted.
func (s *Server) withdraw(key adminapi.Key) {
	s.revision++
	for id, a := range s.assignments {
		if _, has := slices.BinarySearch(a.artifacts, key); has {
			left := slices.DeleteFunc(slices.Clone(a.artifacts), func(k adminapi.Key) bool { return k == key })
			s.assignments[id] = assignment{a.enrollmentID, s.set(left)}
		}
	}
}

func (s *Server) setAction(a adminapi.ActionStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actions[a.Key] = a
}

func (s *Server) setToken(t adminapi.TokenStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[t.Key] = t
}

// assignment is what is assigned to an enrolment.
type assignment struct {
	enrollmentID string
	artifacts    []adminapi.Key // sorted
}

// set is the one slice of these artifacts.
func (s *Server) set(artifacts []adminapi.Key) []adminapi.Key {
	key := strings.Builder{}
	for _, a := range artifacts {
		key.WriteString(string(a))
		key.WriteByte('\n')
	}
	return s.sets.Share(key.String(), artifacts)
}

func (s *Server) setAssignment(a adminapi.Assignment) { s.setAssignments([]adminapi.Assignment{a}) }

func (s *Server) setAssignments(all []adminapi.Assignment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	for _, a := range all {
		id, enrollment := a.DeviceID, a.EnrollmentID
		if d := s.devices[id]; d != nil { // which has the same texts
			id = d.id
			if d.enrollmentID == enrollment {
				enrollment = d.enrollmentID
			}
		}
		s.assignments[id] = assignment{enrollment, s.set(a.Artifacts)}
	}
}
