package fleet

import (
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxMessage bounds a stored message, in bytes.
const maxMessage = 1024

// credit applies an answer to what its command row says. An answer to a command that is not open here (unknown, answered before, another channel's)
// changes nothing.
func (s *session) credit(r Report) error {
	row := s.command
	if r.Status == StatusIdle || row == nil || row.ChannelID != s.channel.ID {
		return nil
	}
	if err := s.tx.DeleteCommand(row.UUID); err != nil {
		return err
	}
	if r.Facts != nil {
		if err := learn(s.tx, s.device, *r.Facts); err != nil {
			return err
		}
	}
	if err := s.tellAnswer(row, r); err != nil {
		return err
	}
	return s.creditCommand(row, r)
}

func (s *session) creditCommand(row *CommandRow, r Report) error {
	switch row.Kind {
	case CommandInstall:
		return s.creditInstall(row, r)
	case CommandRemove:
		return s.creditRemove(row, r)
	case CommandAction:
		return s.creditAction(r)
	case CommandRenew:
		return s.creditRenew(r)
	case CommandUnenroll:
		return s.creditUnenroll(r)
	case CommandConfigured:
		return s.creditConfigured(r)
	}
	return nil
}

// creditInstall credits the answer to the digest that was sent, which an edit may have left behind.
func (s *session) creditInstall(row *CommandRow, r Report) error {
	if err := s.creditRecord(row, r); err != nil {
		return err
	}
	state, err := s.tx.State(s.channel.ID, adminapi.Key(row.Key))
	if err != nil || state == nil || state.Digest != row.Digest {
		return err
	}
	switch r.Status {
	case StatusNotNow:
		state.deferred()
		return s.settle(state, OutcomeNotNow, "")
	case StatusAcknowledged:
		return s.settle(state, OutcomeInstalled, "")
	}
	return s.settle(state, OutcomeFailed, failure(r))
}

// creditRecord keeps the record of what is on the device in step with an answer. A refused install leaves what was there before.
func (s *session) creditRecord(row *CommandRow, r Report) error {
	record, err := s.tx.Record(s.channel.ID, row.Identifier)
	if err != nil || record == nil || r.Status == StatusNotNow {
		return err
	}
	if r.Status != StatusAcknowledged {
		if record.Digest == "" {
			return s.removed(record)
		}
		return nil
	}
	return s.own(record, adminapi.Key(row.Key), row.Digest)
}

// own notes that what the record names is on the channel as the artifact wants it. What was there of another artifact is gone.
func (s *session) own(record *RecordRow, artifact adminapi.Key, digest string) error {
	replaced := record.Artifact
	record.Artifact, record.Digest, record.Offer = artifact, digest, Offer{}
	if err := s.tx.PutRecord(*record); err != nil || replaced == artifact {
		return err
	}
	s.tx.touch(adminapi.KindArtifact, string(replaced))
	return forgetIfGone(s.tx, replaced)
}

// settle stores the outcome of an artifact on the channel and tells of it where it shows.
func (s *session) settle(state *StateRow, outcome Outcome, message string) error {
	if state.Outcome != outcome {
		state.Since = s.tx.now
		s.tx.touch(adminapi.KindArtifact, string(state.Artifact))
		if outcome == OutcomeFailed || state.Outcome == OutcomeFailed {
			s.tx.touch(adminapi.KindDevice, state.DeviceID)
		}
	}
	state.Outcome, state.Message = outcome, message
	if outcome != OutcomeNotNow {
		state.Offer = Offer{}
	}
	return s.tx.PutState(*state)
}

// creditRemove takes any final answer as gone: an error says that there is no such profile, or that the device will never let it go.
func (s *session) creditRemove(row *CommandRow, r Report) error {
	record, err := s.tx.Record(s.channel.ID, row.Key)
	if err != nil || record == nil || record.CommandUUID != row.UUID { // installed again since
		return err
	}
	if r.Status == StatusNotNow {
		record.deferred()
		return s.tx.PutRecord(*record)
	}
	return s.removed(record)
}

// removed forgets a record.
func (s *session) removed(record *RecordRow) error {
	if err := s.tx.DeleteRecord(s.channel.ID, record.Identifier); err != nil {
		return err
	}
	s.tx.touch(adminapi.KindArtifact, string(record.Artifact))
	return forgetIfGone(s.tx, record.Artifact)
}

func (s *session) creditAction(r Report) error {
	t := s.target
	if t == nil {
		return nil
	}
	if r.Status == StatusNotNow {
		t.deferred()
		t.State = adminapi.TargetNotNow
		s.tx.touch(adminapi.KindAction, string(t.Action))
		return s.tx.PutTarget(*t)
	}
	t.CommandUUID = "" // its command is forgotten already
	var err error
	if t.Body, err = s.f.seal(r.Body, sealedResult, t.ActionID, t.DeviceID); err != nil {
		return err
	}
	if r.Status != StatusAcknowledged {
		return finish(s.tx, t, adminapi.TargetFailed, failure(r))
	}
	if err := finish(s.tx, t, adminapi.TargetSucceeded, ""); err != nil {
		return err
	}
	if reason, ends := endings[t.RequestType]; ends {
		return end(s.tx, s.device, reason)
	}
	return nil
}

// creditRenew waits for the TokenUpdate with the new identity, which alone proves a renewal.
func (s *session) creditRenew(r Report) error {
	switch r.Status {
	case StatusAcknowledged:
		return nil
	case StatusNotNow:
		s.device.RenewAt = s.tx.now
	default:
		s.f.opts.Log.Warn("a device refused the renewal of its identity; it is asked again", "after", renewRefused)
		s.device.RenewAt = s.tx.now.Add(renewRefused)
	}
	return s.tx.PutDevice(*s.device)
}

func (s *session) creditUnenroll(r Report) error {
	switch r.Status {
	case StatusAcknowledged:
		return end(s.tx, s.device, adminapi.EndUnenrolled)
	case StatusNotNow:
		s.device.UnenrollAt = s.tx.now
		return s.tx.PutDevice(*s.device)
	}
	return nil
}

// failure is the device's reason, or its status if it gave none.
func failure(r Report) string {
	if r.Message == "" {
		return "the device answered " + string(r.Status)
	}
	return clip(r.Message, maxMessage)
}
