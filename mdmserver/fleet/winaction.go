package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxBody bounds the result of an action, in bytes.
const maxBody = 1 << 20

// endings are the reasons that enrolments end for with the success of a request.
var endings = map[string]string{
	adminapi.AppleEraseDevice: adminapi.EndWiped,
	adminapi.WindowsWipe:      adminapi.EndWiped,
	adminapi.AppleUnenroll:    adminapi.EndUnenrolled, // of Windows too
}

// unenrollCommand makes Windows leave (DMClient CSP, Unenroll).
func unenrollCommand() []adminapi.SyncMLCommand {
	return []adminapi.SyncMLCommand{{
		Verb: adminapi.VerbExec, LocURI: "./Device/Vendor/MSFT/DMClient/Provider/" + adminapi.WindowsProviderID + "/Unenroll",
		Format: "chr", Data: adminapi.WindowsProviderID,
	}}
}

// unsendableAction says why the part of an action for Windows cannot be sent, or "".
func unsendableAction(c *adminapi.WindowsCommand) string {
	if c == nil || c.RequestType == adminapi.WindowsUnenroll {
		return ""
	}
	if len(c.Commands) == 0 || c.Await != nil && c.Await.LocURI == "" {
		return "an action for Windows needs commands, and to await its end the LocURI that tells of it"
	}
	for _, command := range c.Commands {
		if reason := unsendable(command, false); reason != "" {
			return reason
		}
	}
	return ""
}

func (s *winSession) startUnenroll() error {
	s.device.UnenrollAt = s.tx.now.Add(unenrollRetry)
	if err := s.tx.PutDevice(*s.device); err != nil {
		return err
	}
	s.begin(job{Kind: jobUnenroll, Ends: true, Steps: newSteps(unenrollCommand())})
	return s.tellArtifact("", requestUnenroll, adminapi.HistorySent, "")
}

func (s *winSession) concludeUnenroll(j *job) error {
	v, culprit := worst(j.Steps)
	if v == accepted {
		if err := s.tellArtifact("", requestUnenroll, adminapi.HistoryAcknowledged, ""); err != nil {
			return err
		}
		return end(s.tx, s.device, adminapi.EndUnenrolled)
	}
	failure := s.failure(culprit)
	if err := s.tellArtifact("", requestUnenroll, inHistory(v), failure.Message); err != nil {
		return err
	}
	return s.noteError(failure)
}

// windowsCommand opens the part of an action that is for Windows.
func (s *winSession) windowsCommand(actionID string, sealed []byte) (*adminapi.WindowsCommand, error) {
	a, err := s.f.openAction(actionID, sealed)
	if err != nil {
		return nil, err
	}
	if a.Windows.RequestType == adminapi.WindowsUnenroll {
		a.Windows.Commands = unenrollCommand()
	}
	return a.Windows, nil
}

// storedCommand is windowsCommand for an action that is under way.
func (s *winSession) storedCommand(actionID string) (*adminapi.WindowsCommand, error) {
	row, err := s.tx.ActionByID(actionID)
	if err != nil {
		return nil, err
	}
	return s.windowsCommand(actionID, row.Command)
}

// startTarget begins an action, or asks how far one is that was accepted.
func (s *winSession) startTarget(open OpenTarget) error {
	t := open.TargetRow
	if !t.Deadline.IsZero() && !s.tx.now.Before(t.Deadline) {
		return finish(s.tx, &t, adminapi.TargetExpired, expired)
	}
	command, err := s.windowsCommand(t.ActionID, open.Command)
	if err != nil {
		return err
	}
	if t.Accepted {
		t.Offer.State = OfferSent
		s.begin(job{Kind: jobAwait, Key: t.ActionID, Steps: []step{get(command.Await.LocURI)}})
		return s.tx.PutTarget(t)
	}
	_, ends := endings[t.RequestType]
	s.begin(job{Kind: jobAct, Key: t.ActionID, Ends: ends, Steps: actionSteps(command.Commands)})
	t.sent("", s.tx.now)
	t.State, t.DeliveredAt = adminapi.TargetDelivered, s.tx.now
	s.tx.touch(adminapi.KindAction, string(t.Action))
	if err := s.tellTarget(&t, adminapi.HistorySent, ""); err != nil {
		return err
	}
	return s.tx.PutTarget(t)
}

// actionSteps begins a Set with an Add, since nothing is known of the node. Other verbs are an administrator's word and stay.
func actionSteps(commands []adminapi.SyncMLCommand) []step {
	steps := newSteps(commands)
	for _, s := range leaves(steps) {
		if s.Turned = s.Command.Verb != adminapi.VerbSet; !s.Turned {
			s.Command.Verb = adminapi.VerbAdd
		}
	}
	return steps
}

// target returns the open target of a job, nil if it was finished meanwhile.
func (s *winSession) target(j *job) (*TargetRow, error) {
	t, err := s.tx.Target(j.Key, s.device.ID)
	if err != nil || t == nil || t.State.Final() {
		return nil, err
	}
	return t, nil
}

// concludeAct ends an action, or waits for the end of what it set off. What the device did not get to do is offered again; what it refused or failed at
// is final, since nobody knows how much of it was done.
func (s *winSession) concludeAct(j *job) (again bool, err error) {
	t, err := s.target(j)
	if err != nil || t == nil {
		return false, err
	}
	if j.turn() {
		return true, nil
	}
	if err := s.learnFacts(factsOf(j.read())); err != nil {
		return false, err
	}
	if t.Body, err = s.body(t, nil, j.Steps); err != nil {
		return false, err
	}
	if t.RequestType != adminapi.WindowsRaw { // a package or certificate that is sent again is what it was
		forgive(j.Steps, adminapi.VerbAdd, statusAlreadyExists)
	}
	return false, s.settleAct(t, j)
}

func (s *winSession) settleAct(t *TargetRow, j *job) error {
	v, culprit := worst(j.Steps)
	if v == later && (culprit.Code == statusCanceled || culprit.Code == statusNotExecuted) {
		t.State, t.Message = adminapi.TargetNotNow, describeAnswer(culprit.Code, culprit.OriginalError)
		t.postponed()
		s.tx.touch(adminapi.KindAction, string(t.Action))
		if err := s.tellTarget(t, adminapi.HistoryNotNow, t.Message); err != nil {
			return err
		}
		return s.tx.PutTarget(*t)
	}
	if v != accepted {
		return s.failAct(t, s.failure(culprit))
	}
	command, err := s.storedCommand(t.ActionID)
	if err != nil {
		return err
	}
	if command.Await != nil {
		t.Accepted = true
		return s.tx.PutTarget(*t)
	}
	if err := s.finish(t, adminapi.TargetSucceeded, ""); err != nil {
		return err
	}
	if reason, ends := endings[t.RequestType]; ends {
		return end(s.tx, s.device, reason)
	}
	return nil
}

func (s *winSession) failAct(t *TargetRow, failure *adminapi.DeviceError) error {
	if err := s.noteError(failure); err != nil {
		return err
	}
	return s.finish(t, adminapi.TargetFailed, clip(fmt.Sprintf("%s: %s", failure.LocURI, failure.Message), maxMessage))
}

// finish closes the target by what the device said.
func (s *winSession) finish(t *TargetRow, state adminapi.TargetState, message string) error {
	kind := adminapi.HistoryAcknowledged
	if state == adminapi.TargetFailed {
		kind = adminapi.HistoryFailed
	}
	if err := s.tellTarget(t, kind, message); err != nil {
		return err
	}
	return finish(s.tx, t, state, message)
}

// concludeAwait ends an action whose job has ended; else it is asked for again in the next session.
func (s *winSession) concludeAwait(j *job) (again bool, err error) {
	t, err := s.target(j)
	if err != nil || t == nil {
		return false, err
	}
	command, err := s.storedCommand(t.ActionID)
	if err != nil {
		return false, err
	}
	await, value := command.Await, j.Steps[0].value()
	done, failed := slices.Contains(await.Done, value), slices.Contains(await.Failed, value)
	if failed && await.ErrorLocURI != "" && len(j.Steps) == 1 {
		j.Steps = append(j.Steps, get(await.ErrorLocURI))
		return true, nil
	}
	if !done && !failed {
		return false, nil
	}
	before, err := s.f.open(t.Body, sealedResult, t.ActionID, t.DeviceID)
	if err != nil {
		return false, err
	}
	if t.Body, err = s.body(t, before, j.Steps); err != nil {
		return false, err
	}
	if done {
		return false, s.finish(t, adminapi.TargetSucceeded, "")
	}
	return false, s.finish(t, adminapi.TargetFailed, clip(awaitedFailure(await, j.Steps), maxMessage))
}

// awaitedFailure puts what a failed job left behind into words.
func awaitedFailure(await *adminapi.WindowsAwait, read []step) string {
	message := fmt.Sprintf("the device accepted the command and failed at it: %s reads %s", await.LocURI, read[0].value())
	if len(read) > 1 {
		message += "; " + describeOriginal(read[1].value())
	}
	return message
}

// value is the text that a Get brought, "" if none.
func (s *step) value() string {
	if len(s.Results) == 0 {
		return ""
	}
	return strings.TrimSpace(s.Results[0].Data)
}

// answer is one entry of the body of an action's result.
type answer struct {
	LocURI        string `json:"locURI"`
	Status        int    `json:"status"`
	OriginalError string `json:"originalError,omitempty"`
	Format        string `json:"format,omitempty"`
	Data          string `json:"data,omitempty"`
}

// body returns the sealed answers to the commands, after those in the body before. Values beyond maxBody are left out.
func (s *winSession) body(t *TargetRow, before []byte, steps []step) ([]byte, error) {
	answers := []answer{}
	if before != nil {
		if err := json.Unmarshal(before, &answers); err != nil {
			return nil, fmt.Errorf("reading a stored result: %w", err)
		}
	}
	size := len(before)
	for _, st := range leaves(steps) {
		said := answer{LocURI: st.Command.LocURI, Status: st.Code, OriginalError: st.OriginalError}
		if len(st.Results) == 0 {
			answers = append(answers, said)
		}
		for _, r := range st.Results {
			said.LocURI, said.Format, said.Data = r.LocURI, r.Format, ""
			if size += len(r.Data); size <= maxBody {
				said.Data = r.Data
			}
			answers = append(answers, said)
		}
	}
	plain, err := json.Marshal(answers)
	if err != nil {
		return nil, fmt.Errorf("writing a result: %w", err)
	}
	return s.f.seal(plain, sealedResult, t.ActionID, t.DeviceID)
}
