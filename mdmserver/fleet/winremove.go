package fleet

import (
	"maps"
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
	sent := removalTale{}
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
		sent.add(r.Artifact, adminapi.HistorySent, "")
	}
	if len(j.Steps) > 0 {
		s.begin(j)
	}
	return sent.tell(ch)
}

// removalTale is what there is to tell of a removal: one entry for each artifact, however many nodes it had.
type removalTale map[adminapi.Key]adminapi.HistoryEntry

// add notes what became of a node. What went wrong with one is told of all, the worst first.
func (t removalTale) add(key adminapi.Key, kind adminapi.HistoryType, message string) {
	ranks := []adminapi.HistoryType{"", adminapi.HistorySent, adminapi.HistoryAcknowledged, adminapi.HistoryNotNow, adminapi.HistoryFailed}
	if slices.Index(ranks, kind) > slices.Index(ranks, t[key].Type) {
		t[key] = adminapi.HistoryEntry{Type: kind, Message: message}
	}
}

func (t removalTale) tell(ch *session) error {
	for _, key := range slices.Sorted(maps.Keys(t)) {
		if err := ch.tellArtifact(key, requestRemove, t[key].Type, t[key].Message); err != nil {
			return err
		}
	}
	return nil
}

// concludeRemove forgets what is gone, and what Windows will never let go: that the device tells as its last error.
func (s *winSession) concludeRemove(j *job) error {
	ch := s.channelOf(j)
	tale := removalTale{}
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
			tale.add(record.Artifact, adminapi.HistoryNotNow, deleted.Command.LocURI+": "+describeAnswer(deleted.Code, deleted.OriginalError))
			if err := s.tx.PutRecord(*record); err != nil {
				return err
			}
			continue
		}
		if err := s.concludeDelete(ch, record, deleted, tale); err != nil {
			return err
		}
	}
	return tale.tell(ch)
}

// concludeDelete forgets a node that is gone or kept for good.
func (s *winSession) concludeDelete(ch *session, record *RecordRow, deleted *step, tale removalTale) error {
	if judge(deleted.Code) != refused || deleted.Code == statusNotFound {
		tale.add(record.Artifact, adminapi.HistoryAcknowledged, "")
		return ch.removed(record)
	}
	kept := s.failure(deleted)
	kept.Message = clip("nothing wants the setting any more, but Windows keeps it: "+kept.Message, maxMessage)
	tale.add(record.Artifact, adminapi.HistoryFailed, kept.LocURI+": "+kept.Message)
	if err := s.noteError(kept); err != nil {
		return err
	}
	return ch.removed(record)
}
