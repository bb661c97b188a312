package fleet

import (
	"fmt"
	"slices"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// verdict is what answers to commands amount to, the worst one last.
type verdict int

const (
	accepted verdict = iota
	later            // the device could not do it now
	refused
)

// inHistory is what a verdict is in history.
func inHistory(v verdict) adminapi.HistoryType {
	switch v {
	case accepted:
		return adminapi.HistoryAcknowledged
	case later:
		return adminapi.HistoryNotNow
	}
	return adminapi.HistoryFailed
}

// judge weighs the answer to one command.
func judge(code int) verdict {
	switch {
	case code >= 500, code == statusCanceled, code == statusNotExecuted, code == statusRolledBack:
		return later
	case code >= 200 && code < 300:
		return accepted
	}
	return refused
}

// judge weighs the answers to a command and those inside it, and returns the one that is to blame.
func (s *step) judge() (verdict, *step) {
	worst, culprit := judge(s.Code), s
	for i := range s.Inner {
		inner := &s.Inner[i]
		if inner.Code == 0 { // the answer to the whole holds for it
			continue
		}
		if v := judge(inner.Code); v > worst || v == worst && inner.tells() > culprit.tells() {
			worst, culprit = v, inner
		}
	}
	return worst, culprit
}

// tells ranks answers by how much they say of a failure: those to commands that went down with others say nothing, and that to an Atomic does not say
// which command it was.
func (s *step) tells() int {
	switch {
	case len(s.Inner) > 0:
		return 1
	case s.Code == statusCanceled, s.Code == statusNotExecuted, s.Code == statusRolledBack:
		return 0
	}
	return 2
}

// worst weighs all answers and returns the command that is to blame.
func worst(steps []step) (verdict, *step) {
	found, culprit := accepted, (*step)(nil)
	for i := range steps {
		if v, c := steps[i].judge(); v > found {
			found, culprit = v, c
		}
	}
	return found, culprit
}

// turn makes a Replace of an Add whose node is there already, and an Add of a Replace whose node is not, once each. It says whether one is to be sent
// again. An Atomic goes as a whole; of a Sequence only what did not succeed.
func (j *job) turn() bool {
	turned := false
	for i := range j.Steps {
		s := &j.Steps[i]
		again := s.turn()
		for k := range s.Inner {
			again = s.Inner[k].turn() || again
		}
		if !again {
			continue
		}
		turned = true
		if s.Command.Verb == adminapi.VerbSequence {
			done := *s
			done.Code = statusOK
			done.Inner = slices.DeleteFunc(slices.Clone(s.Inner), func(in step) bool { return in.CmdRef == "" || judge(in.Code) != accepted })
			s.Inner = slices.DeleteFunc(slices.Clone(s.Inner), func(in step) bool { return in.CmdRef != "" && judge(in.Code) == accepted })
			j.Steps = append(j.Steps, done)
			s = &j.Steps[i]
		}
		s.reset()
	}
	return turned
}

func (s *step) turn() bool {
	switch {
	case s.Turned:
		return false
	case s.Command.Verb == adminapi.VerbAdd && s.Code == statusAlreadyExists:
		s.Command.Verb = adminapi.VerbReplace
	case s.Command.Verb == adminapi.VerbReplace && s.Code == statusNotFound:
		s.Command.Verb = adminapi.VerbAdd
	default:
		return false
	}
	s.Turned = true
	s.reset()
	return true
}

// forgive takes an answer to a verb as success.
func forgive(steps []step, verb adminapi.SyncMLVerb, code int) {
	for _, s := range leaves(steps) {
		if s.Command.Verb == verb && s.Code == code {
			s.Code = statusOK
		}
	}
}

// reset makes a command one that was not sent yet.
func (s *step) reset() {
	s.MsgRef, s.CmdRef, s.Code, s.OriginalError = "", "", 0, ""
	for i := range s.Inner {
		s.Inner[i].reset()
	}
}

// startApply begins to write an artifact, unless another one has a better claim to one of its nodes.
func (s *winSession) startApply(ch *session, st StateRow) error {
	steps, err := s.stepsOf(st.Artifact)
	if err != nil {
		return err
	}
	if lost, err := s.contend(ch, &st, writes(steps)); err != nil || lost {
		return err
	}
	return s.apply(ch, &st, steps)
}

// apply begins to send the steps, which are those of the artifact or some of them. A node that may be there is replaced, another one is added.
func (s *winSession) apply(ch *session, st *StateRow, steps []step) error {
	for _, in := range leaves(steps) {
		if !writesNode(in.Command.Verb) {
			continue
		}
		node := nodeName(in.Command.LocURI)
		record, err := s.tx.Record(ch.channel.ID, node)
		if err != nil {
			return err
		}
		if in.Command.Verb == adminapi.VerbSet {
			in.Command.Verb = adminapi.VerbReplace
			if record == nil {
				in.Command.Verb = adminapi.VerbAdd
			}
		}
		if record != nil {
			continue
		}
		in.New = true
		if err := s.tx.PutRecord(RecordRow{ChannelID: ch.channel.ID, DeviceID: s.device.ID, Identifier: node, Artifact: st.Artifact}); err != nil {
			return err
		}
	}
	st.sent("", s.tx.now)
	if err := s.tx.PutState(*st); err != nil {
		return err
	}
	s.begin(job{Kind: jobApply, User: ch == s.user, Key: string(st.Artifact), Digest: st.Digest, Steps: steps})
	return ch.tellArtifact(st.Artifact, requestInstall, adminapi.HistorySent, "")
}

// concludeApply reads back what was written, or says why it could not be.
func (s *winSession) concludeApply(j *job) (again bool, err error) {
	if j.turn() {
		return true, nil
	}
	forgive(j.Steps, adminapi.VerbDelete, statusNotFound)
	ch := s.channelOf(j)
	if v, culprit := worst(j.Steps); v != accepted {
		if err := s.settleNodes(ch, j, v == refused); err != nil {
			return false, err
		}
		return false, s.settleFailure(ch, j, v, culprit)
	}
	if err := s.settleNodes(ch, j, true); err != nil {
		return false, err
	}
	written := writes(j.Steps)
	j.Kind, j.Steps = jobVerify, reads(written)
	if len(j.Steps) > 0 {
		return true, nil
	}
	return false, s.settleApplied(ch, j)
}

// settleNodes keeps the records in step with the answers: what was written is on the device. What was refused is not, if nobody ever tried it before
// and nobody will again.
func (s *winSession) settleNodes(ch *session, j *job, final bool) error {
	for i := range j.Steps {
		for _, in := range leaves(j.Steps[i : i+1]) {
			if !writesNode(in.Command.Verb) {
				continue
			}
			var err error
			switch v := j.Steps[i].judgeInner(in); {
			case v == accepted:
				err = ch.wrote(nodeName(in.Command.LocURI), j)
			case v == refused && in.New && final:
				err = ch.didNotWrite(nodeName(in.Command.LocURI))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// judgeInner weighs what became of one of the commands in a step, or of the step itself. Of one that failed with an Atomic nothing is left; of one
// without an answer nobody knows.
func (s *step) judgeInner(in *step) verdict {
	whole, _ := s.judge()
	switch {
	case whole == accepted || s.Command.Verb == adminapi.VerbAtomic:
		return whole
	case in.Code == 0:
		return later
	}
	return judge(in.Code)
}

func (s *session) wrote(node string, j *job) error {
	record, err := s.tx.Record(s.channel.ID, node)
	if err != nil {
		return err
	}
	if record == nil {
		record = &RecordRow{ChannelID: s.channel.ID, DeviceID: s.device.ID, Identifier: node, Artifact: adminapi.Key(j.Key)}
	}
	return s.own(record, adminapi.Key(j.Key), j.Digest)
}

func (s *session) didNotWrite(node string) error {
	record, err := s.tx.Record(s.channel.ID, node)
	if err != nil || record == nil || record.Digest != "" {
		return err
	}
	return s.removed(record)
}

// settleFailure ends an artifact that the device refused, or leaves it to a later session if the device could not take it now.
func (s *winSession) settleFailure(ch *session, j *job, v verdict, culprit *step) error {
	failure := s.failure(culprit)
	if err := s.noteError(failure); err != nil {
		return err
	}
	message := clip(fmt.Sprintf("%s: %s", failure.LocURI, failure.Message), maxMessage)
	if err := ch.tellArtifact(adminapi.Key(j.Key), requestInstall, inHistory(v), message); err != nil {
		return err
	}
	state, err := ch.stateOf(j)
	if err != nil || state == nil {
		return err
	}
	if v == later {
		state.postponed()
		return ch.settle(state, OutcomeNotNow, message)
	}
	return ch.settle(state, OutcomeFailed, message)
}

// stateOf returns the state that the job is about, nil if something else is wanted by now.
func (s *session) stateOf(j *job) (*StateRow, error) {
	state, err := s.tx.State(s.channel.ID, adminapi.Key(j.Key))
	if err != nil || state == nil || state.Digest != j.Digest {
		return nil, err
	}
	return state, nil
}

// settleApplied ends an artifact that was written just now.
func (s *winSession) settleApplied(ch *session, j *job) error {
	if err := ch.tellArtifact(adminapi.Key(j.Key), requestInstall, adminapi.HistoryAcknowledged, ""); err != nil {
		return err
	}
	return s.settleInstalled(ch, j)
}

// settleInstalled ends an artifact that is on the device as far as the job read, and says when that is next looked at.
func (s *winSession) settleInstalled(ch *session, j *job) error {
	state, err := ch.stateOf(j)
	if err != nil || state == nil {
		return err
	}
	state.VerifyAt = zeroTime
	if len(j.Steps) > 0 {
		state.VerifyAt = s.tx.now.Add(s.f.opts.VerifyEvery)
	}
	return ch.settle(state, OutcomeInstalled, "")
}

// failure puts the answer to a command into words.
func (s *winSession) failure(culprit *step) *adminapi.DeviceError {
	return &adminapi.DeviceError{
		Code: culprit.Code, Original: hresult(culprit.OriginalError), LocURI: leaves([]step{*culprit})[0].Command.LocURI,
		Message: describeAnswer(culprit.Code, culprit.OriginalError), At: s.tx.now,
	}
}

// noteError stores the last thing that the device refused.
func (s *winSession) noteError(e *adminapi.DeviceError) error {
	s.device.LastError = e
	s.tx.touch(adminapi.KindDevice, s.device.ID)
	return s.tx.PutDevice(*s.device)
}
