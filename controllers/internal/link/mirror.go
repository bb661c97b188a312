package link

import (
	"slices"

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
		s.unassign(key)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unindex(d.ID)
	s.devices[d.ID] = d
	// A serial number may stand on two rows, when a repaired device enrolled with a new UDID: the live one counts.
	if other, taken := s.devices[s.serials[d.SerialNumber]]; d.SerialNumber != "" && (!taken || other.State == adminapi.DeviceEnded) {
		s.serials[d.SerialNumber] = d.ID
	}
}

func (s *Server) unindex(id string) {
	if serial := s.devices[id].SerialNumber; s.serials[serial] == id {
		delete(s.serials, serial)
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
	for id := range s.assigned[key] {
		a := s.assignments[id]
		a.Artifacts = slices.DeleteFunc(slices.Clone(a.Artifacts), func(k adminapi.Key) bool { return k == key })
		s.assignments[id] = a
	}
	delete(s.assigned, key)
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

func (s *Server) setAssignment(a adminapi.Assignment) { s.setAssignments([]adminapi.Assignment{a}) }

func (s *Server) setAssignments(all []adminapi.Assignment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range all {
		s.unassign(a.DeviceID)
		s.assignments[a.DeviceID] = a
		for _, key := range a.Artifacts {
			if s.assigned[key] == nil {
				s.assigned[key] = map[string]struct{}{}
			}
			s.assigned[key][a.DeviceID] = struct{}{}
		}
	}
}

func (s *Server) unassign(deviceID string) {
	for _, key := range s.assignments[deviceID].Artifacts {
		delete(s.assigned[key], deviceID)
	}
	delete(s.assignments, deviceID)
}
