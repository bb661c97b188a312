package link

import (
	"context"
	"slices"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// PutArtifact stores an artifact and takes the answer into the mirror. Errors as adminapi.Client.PutArtifact.
func (s *Server) PutArtifact(ctx context.Context, a adminapi.Artifact) (*adminapi.ArtifactStatus, error) {
	return put(s, row{adminapi.KindArtifact, string(a.Key)}, s.setArtifact, func() (*adminapi.ArtifactStatus, error) {
		return s.client.PutArtifact(ctx, a)
	})
}

// PutAction stores an action and takes the answer into the mirror. Errors as adminapi.Client.PutAction.
func (s *Server) PutAction(ctx context.Context, a adminapi.Action) (*adminapi.ActionStatus, error) {
	return put(s, row{adminapi.KindAction, string(a.Key)}, s.setAction, func() (*adminapi.ActionStatus, error) {
		return s.client.PutAction(ctx, a)
	})
}

// PutToken stores an enrolment token's hash and rules and takes the answer into the mirror.
func (s *Server) PutToken(ctx context.Context, t adminapi.Token) (*adminapi.TokenStatus, error) {
	return put(s, row{adminapi.KindToken, string(t.Key)}, s.setToken, func() (*adminapi.TokenStatus, error) {
		return s.client.PutToken(ctx, t)
	})
}

// assignBatch is how many devices one call assigns to: each is one transaction of the server, during which devices wait.
const assignBatch = 500

// PutAssignments stores what is assigned to any number of devices. The mirror takes what the server took only when all is done, or when a
// call failed: a removal from many devices is never seen half done, as another one.
func (s *Server) PutAssignments(ctx context.Context, all []adminapi.Assignment) error {
	var taken []adminapi.Assignment
	defer func() { s.setAssignments(taken) }()
	for batch := range slices.Chunk(all, assignBatch) {
		reply, err := s.client.PutAssignments(ctx, adminapi.AssignmentBatch{Assignments: batch})
		if err != nil {
			return err
		}
		for _, a := range batch {
			if !slices.Contains(reply.Stale, a.DeviceID) {
				taken = append(taken, a)
			}
		}
	}
	return nil
}

// PutIntent stores what is wanted of one enrolment and takes it into the mirror. stale says that the device is in another enrolment by now.
func (s *Server) PutIntent(ctx context.Context, in adminapi.DeviceIntent) (stale bool, err error) {
	reply, err := s.client.PutIntents(ctx, adminapi.IntentBatch{Intents: []adminapi.DeviceIntent{in}})
	if err != nil {
		return false, err
	}
	if len(reply.Stale) > 0 {
		return true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if row := s.devices[in.DeviceID]; row != nil && row.enrollmentID == in.EnrollmentID {
		d := row.unpack()
		d.Ignored, d.Unenrolling = in.Intent == adminapi.IntentIgnore, in.Intent == adminapi.IntentUnenroll
		s.devices[d.ID] = s.pack(d)
		s.revision++
	}
	return false, nil
}

// DeleteArtifact withdraws an artifact, or forgets it and leaves it on the devices (retain).
func (s *Server) DeleteArtifact(ctx context.Context, key adminapi.Key, retain bool) error {
	if err := s.client.DeleteArtifact(ctx, key, retain); err != nil {
		return err
	}
	s.forget(adminapi.KindArtifact, string(key))
	return nil
}

// DeleteToken makes a token unusable.
func (s *Server) DeleteToken(ctx context.Context, key adminapi.Key) error {
	if err := s.client.DeleteToken(ctx, key); err != nil {
		return err
	}
	s.forget(adminapi.KindToken, string(key))
	return nil
}

// put writes a row and takes the answer into the mirror, unless a change of the row came in meanwhile: that is newer.
func put[T any](s *Server, r row, set func(T), call func() (*T, error)) (*T, error) {
	before := s.Pending(r.kind, r.key)
	answer, err := call()
	if err != nil {
		return nil, err
	}
	if s.Pending(r.kind, r.key) == before {
		set(*answer)
	}
	return answer, nil
}
