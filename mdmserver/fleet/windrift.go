package fleet

import (
	"fmt"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// reads returns a Get for each node whose value can be compared with what was written.
func reads(written map[string]adminapi.SyncMLCommand) []step {
	var steps []step
	for _, node := range sortedNodes(written) {
		c := written[node]
		if c.Unverified || c.Format == "node" || c.Format == "null" {
			continue
		}
		s := get(c.LocURI)
		s.Want = &c
		steps = append(steps, s)
	}
	return steps
}

// reading is what a Get says of a node.
type reading int

const (
	same       reading = iota // or nobody can tell
	unreadable                // the device could not tell now
	different
)

// compare holds what was read against what was written. A node that Windows lets nobody read counts as written.
func (s *step) compare() reading {
	switch {
	case s.Code == statusNotAllowed, s.Code == statusUnsupported, s.Code == statusForbidden:
		return same
	case judge(s.Code) == later:
		return unreadable
	case judge(s.Code) != accepted:
		return different
	}
	var got string
	format := s.Want.Format
	if len(s.Results) > 0 {
		got = s.Results[0].Data
		if format == "" {
			format = s.Results[0].Format
		}
	}
	if sameValue(format, s.Want.Data, got) {
		return same
	}
	return different
}

// differing returns the worst reading of all, and the first node that has it.
func differing(steps []step) (reading, *step) {
	found, culprit := same, (*step)(nil)
	for i := range steps {
		if r := steps[i].compare(); r > found {
			found, culprit = r, &steps[i]
		}
	}
	return found, culprit
}

// concludeVerify settles an artifact by what was read. Values are never told, since they may be secrets.
func (s *winSession) concludeVerify(j *job) error {
	ch := s.channelOf(j)
	r, culprit := differing(j.Steps)
	if r == same {
		return s.settleApplied(ch, j)
	}
	if judge(culprit.Code) != accepted && culprit.Code != statusNotFound {
		v := refused
		if r == unreadable {
			v = later
		}
		return s.settleFailure(ch, j, v, culprit)
	}
	message := fmt.Sprintf("%s: the device reads another value than it accepted", culprit.Command.LocURI)
	if culprit.Code == statusNotFound {
		message = fmt.Sprintf("%s: the device accepted a value and does not have the node", culprit.Command.LocURI)
	}
	message = clip(message, maxMessage)
	if err := ch.tellArtifact(adminapi.Key(j.Key), requestInstall, adminapi.HistoryFailed, message); err != nil {
		return err
	}
	state, err := ch.stateOf(j)
	if err != nil || state == nil {
		return err
	}
	return ch.settle(state, OutcomeFailed, message)
}

// startCheck begins to read an installed artifact.
func (s *winSession) startCheck(ch *session, st StateRow) error {
	steps, err := s.stepsOf(st.Artifact)
	if err != nil {
		return err
	}
	st.sent("", s.tx.now)
	if err := s.tx.PutState(st); err != nil {
		return err
	}
	s.begin(job{Kind: jobCheck, User: ch == s.user, Key: string(st.Artifact), Digest: st.Digest, Steps: reads(writes(steps))})
	return nil
}

// concludeCheck looks for drift. What the device lost or changed is written again, and the device says so.
func (s *winSession) concludeCheck(j *job) (again bool, err error) {
	ch := s.channelOf(j)
	state, err := ch.stateOf(j)
	if err != nil || state == nil {
		return false, err
	}
	r, culprit := differing(j.Steps)
	switch r {
	case same:
		return false, s.settleInstalled(ch, j)
	case unreadable:
		return false, nil
	}
	drifted := map[string]bool{}
	for i := range j.Steps {
		if j.Steps[i].compare() == different {
			drifted[nodeName(j.Steps[i].Command.LocURI)] = true
		}
	}
	s.device.LastDrift = &adminapi.Drift{Artifact: state.Artifact, LocURI: culprit.Command.LocURI, At: s.tx.now}
	s.tx.touch(adminapi.KindDevice, s.device.ID)
	if err := s.tx.PutDevice(*s.device); err != nil {
		return false, err
	}
	if err := ch.tellArtifact(state.Artifact, "", adminapi.HistoryDrifted, culprit.Command.LocURI); err != nil {
		return false, err
	}
	return false, s.repair(ch, state, drifted)
}

// repair sends again the commands that write the drifted nodes.
func (s *winSession) repair(ch *session, state *StateRow, drifted map[string]bool) error {
	steps, err := s.stepsOf(state.Artifact)
	if err != nil {
		return err
	}
	if lost, err := s.contend(ch, state, writes(steps)); err != nil || lost {
		return err
	}
	var again []step
	for i := range steps {
		for node := range writes(steps[i : i+1]) {
			if drifted[node] {
				again = append(again, steps[i])
				break
			}
		}
	}
	return s.apply(ch, state, again)
}
