package fleet

import (
	"slices"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// handOver gives the records of artifacts that left the channel to artifacts that want the nodes still: a node stays as long as one does.
func (s *session) handOver() error {
	assigned, err := s.tx.AssignmentsOf(s.device.ID)
	if err != nil {
		return err
	}
	records, err := s.tx.Records(s.channel.ID)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(records, func(r RecordRow) bool { return slices.Contains(assigned, r.Artifact) })
	if len(left) == 0 {
		return nil
	}
	heirs := map[string]adminapi.Key{}
	for _, key := range assigned {
		nodes, err := s.tx.Nodes(key)
		if err != nil {
			return err
		}
		for _, node := range nodes {
			heirs[node] = key
		}
	}
	for _, r := range left {
		if heir, wanted := heirs[r.Identifier]; wanted {
			if err := s.own(&r, heir, r.Digest); err != nil {
				return err
			}
		}
	}
	return nil
}

// startRemove begins to delete nodes that nothing wants any more. One with a wanted node below it stays, since a Delete takes all of that along.
func (s *winSession) startRemove(ch *session, stray []RecordRow) error {
	assigned, err := s.assignedTo(ch)
	if err != nil {
		return err
	}
	j := job{Kind: jobRemove, User: ch == s.user}
	for _, r := range stray {
		below := func(node string) bool { return strings.HasPrefix(node, r.Identifier+"/") }
		if slices.ContainsFunc(assigned, func(a *assignedProfile) bool { return slices.ContainsFunc(a.nodes, below) }) {
			if err := ch.removed(&r); err != nil {
				return err
			}
			continue
		}
		r.sent("", s.tx.now)
		if err := s.tx.PutRecord(r); err != nil {
			return err
		}
		j.Steps = append(j.Steps, step{Command: adminapi.SyncMLCommand{Verb: adminapi.VerbDelete, LocURI: r.Identifier}})
	}
	if len(j.Steps) > 0 {
		s.begin(j)
	}
	return nil
}

// concludeRemove forgets what is gone, and what Windows will never let go: that the device tells as its last error.
func (s *winSession) concludeRemove(j *job) error {
	ch := s.channelOf(j)
	for i := range j.Steps {
		deleted := &j.Steps[i]
		record, err := s.tx.Record(ch.channel.ID, deleted.Command.LocURI)
		if err != nil {
			return err
		}
		if record == nil || !record.unanswered() { // written again since
			continue
		}
		if judge(deleted.Code) == later {
			record.postponed()
			if err := s.tx.PutRecord(*record); err != nil {
				return err
			}
			continue
		}
		if judge(deleted.Code) == refused && deleted.Code != statusNotFound {
			kept := s.failure(deleted)
			kept.Message = clip("nothing wants the setting any more, but Windows keeps it: "+kept.Message, maxMessage)
			if err := s.noteError(kept); err != nil {
				return err
			}
		}
		if err := ch.removed(record); err != nil {
			return err
		}
	}
	return nil
}
