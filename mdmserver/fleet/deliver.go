package fleet

import (
	"errors"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	// renewRetry is the pause after a renewal was sent without effect, renewRefused the one after the device answered that it will not.
	renewRetry   = time.Hour
	renewRefused = 24 * time.Hour
	// unenrollRetry is the pause after the removal of the enrolment profile was sent without effect or refused.
	unenrollRetry = time.Hour
)

// unencodable is an error that is final for one delivery and concerns no other.
type unencodable struct{ error }

// asUnencodable returns the reason if err is one.
func asUnencodable(err error) (reason string, ok bool) {
	var u unencodable
	if !errors.As(err, &u) {
		return "", false
	}
	return clip(u.Error(), maxMessage), true
}

// deliverFirst tries one piece of work after the other until one becomes a command.
func (s *session) deliverFirst(w *work) ([]byte, error) {
	var tries []func() ([]byte, error)
	if w.renew {
		tries = append(tries, s.renew)
	}
	if w.unenroll {
		tries = append(tries, s.unenroll)
	}
	for _, t := range w.targets {
		tries = append(tries, func() ([]byte, error) { return s.act(t) })
	}
	for _, r := range w.removals {
		tries = append(tries, func() ([]byte, error) { return s.remove(r) })
	}
	for _, st := range w.installs {
		tries = append(tries, func() ([]byte, error) { return s.install(st) })
	}
	if w.configured {
		tries = append(tries, s.configure)
	}
	for _, try := range tries {
		command, err := try()
		if err != nil || command != nil {
			return command, err
		}
	}
	return nil, nil
}

// send encodes the delivery and stores its command row; target is that of an action. It repeats the UUID of an earlier sending of the same thing, if there
// was one.
func (s *session) send(d Delivery, row CommandRow, target *TargetRow, again string) (command []byte, uuid string, err error) {
	if uuid = again; uuid == "" {
		if uuid, err = s.f.uuid(); err != nil {
			return nil, "", err
		}
	}
	d.CommandUUID, d.Channel, d.Device = uuid, s.channel.Channel, s.device.describe()
	if command, err = s.f.encoder.Encode(d); err != nil {
		return nil, "", unencodable{err}
	}
	row.UUID, row.ChannelID = uuid, s.channel.ID
	if err := s.tx.PutCommand(row); err != nil {
		return nil, "", err
	}
	return command, uuid, s.tellCommand(&row, target, adminapi.HistorySent, "")
}

func (s *session) renew() ([]byte, error) {
	challenge, err := s.f.mint(s.tx, ChallengeRow{EnrollmentID: s.device.EnrollmentID, Renewal: true, Params: s.device.Params})
	if err != nil {
		return nil, err
	}
	s.device.RenewAt = s.tx.now.Add(renewRetry)
	if s.device.RenewingSince.IsZero() {
		s.device.RenewingSince = s.tx.now
		s.tx.touch(adminapi.KindDevice, s.device.ID)
	}
	if err := s.tx.PutDevice(*s.device); err != nil {
		return nil, err
	}
	command, _, err := s.send(Delivery{Renewal: &Renewal{Params: s.device.Params, Challenge: challenge.Secret}}, CommandRow{Kind: CommandRenew}, nil, "")
	if reason, bad := asUnencodable(err); bad {
		s.f.opts.Log.Error("a renewal cannot be encoded; it is tried again", "after", renewRetry, "reason", reason)
		return nil, nil
	}
	return command, err
}

func (s *session) unenroll() ([]byte, error) {
	s.device.UnenrollAt = s.tx.now.Add(unenrollRetry)
	if err := s.tx.PutDevice(*s.device); err != nil {
		return nil, err
	}
	command, _, err := s.send(Delivery{Remove: &Remove{Identifier: s.device.Params.PayloadIdentifier}}, CommandRow{Kind: CommandUnenroll}, nil, "")
	if reason, bad := asUnencodable(err); bad {
		s.f.opts.Log.Error("an unenrolment cannot be encoded; it is tried again", "after", unenrollRetry, "reason", reason)
		return nil, nil
	}
	return command, err
}

func (s *session) act(open OpenTarget) ([]byte, error) {
	t := open.TargetRow
	if !t.Deadline.IsZero() && !s.tx.now.Before(t.Deadline) {
		return nil, finish(s.tx, &t, adminapi.TargetExpired, expired)
	}
	d, err := s.targetDelivery(&open)
	if err != nil {
		return nil, s.failTarget(&t, err)
	}
	command, uuid, err := s.send(d, CommandRow{Kind: CommandAction, Key: t.ActionID}, &t, t.CommandUUID)
	if err != nil {
		return nil, s.failTarget(&t, err)
	}
	t.sent(uuid, s.tx.now)
	t.State, t.DeliveredAt = adminapi.TargetDelivered, s.tx.now
	s.tx.touch(adminapi.KindAction, string(t.Action))
	return command, s.tx.PutTarget(t)
}

// failTarget closes the target if the error is final for it.
func (s *session) failTarget(t *TargetRow, err error) error {
	if reason, bad := asUnencodable(err); bad {
		if err := s.tellTarget(t, adminapi.HistoryFailed, reason); err != nil {
			return err
		}
		return finish(s.tx, t, adminapi.TargetFailed, reason)
	}
	return err
}

const expired = "the deadline passed before the device answered"

// targetDelivery is what the action sends: to unenrol is to remove the enrolment profile.
func (s *session) targetDelivery(t *OpenTarget) (Delivery, error) {
	if t.RequestType == adminapi.AppleUnenroll {
		return Delivery{Remove: &Remove{Identifier: s.device.Params.PayloadIdentifier}}, nil
	}
	d, err := s.actionDelivery(t)
	return Delivery{Action: d}, err
}

// actionDelivery opens what the action's command needs.
func (s *session) actionDelivery(t *OpenTarget) (*ActionDelivery, error) {
	action, err := s.f.openAction(t.ActionID, t.Command)
	if err != nil {
		return nil, err
	}
	d := &ActionDelivery{Command: *action.Apple}
	pin, err := s.f.open(t.PIN, sealedPIN, t.ActionID, t.DeviceID)
	if err != nil {
		return nil, err
	}
	d.PIN = string(pin)
	if d.Command.RequestType != adminapi.AppleClearPasscode {
		return d, nil
	}
	if s.device.UnlockToken == nil {
		return nil, unencodable{errors.New("the device never sent an unlock token; only devices with a passcode that were enrolled with this server do")}
	}
	d.UnlockToken, err = s.f.open(s.device.UnlockToken, sealedUnlock, s.device.ID)
	return d, err
}

func (s *session) remove(r RecordRow) ([]byte, error) {
	command, uuid, err := s.send(Delivery{Remove: &Remove{Identifier: r.Identifier}}, CommandRow{Kind: CommandRemove, Key: r.Identifier}, nil, r.CommandUUID)
	if reason, bad := asUnencodable(err); bad {
		s.f.opts.Log.Error("the removal of a profile cannot be encoded; it is given up", "artifact", r.Artifact, "reason", reason)
		return nil, s.removed(&r)
	}
	if err != nil {
		return nil, err
	}
	r.sent(uuid, s.tx.now)
	return command, s.tx.PutRecord(r)
}

func (s *session) install(st StateRow) ([]byte, error) {
	artifact, err := s.tx.Artifact(st.Artifact)
	if err != nil {
		return nil, err
	}
	template, err := s.f.open(artifact.Template, sealedTemplate, string(artifact.Key))
	if err != nil {
		return nil, err
	}
	command, uuid, err := s.send(
		Delivery{Install: &Install{Artifact: artifact.Key, Identifier: artifact.Identifier, Digest: st.Digest, Template: template, Sign: artifact.Sign}},
		CommandRow{Kind: CommandInstall, Key: string(artifact.Key), Digest: st.Digest, Identifier: artifact.Identifier}, nil, st.CommandUUID)
	if reason, bad := asUnencodable(err); bad {
		if err := s.tellArtifact(st.Artifact, requestInstall, adminapi.HistoryFailed, reason); err != nil {
			return nil, err
		}
		return nil, s.settle(&st, OutcomeFailed, reason)
	}
	if err != nil {
		return nil, err
	}
	if err := s.expectOnDevice(artifact); err != nil {
		return nil, err
	}
	st.sent(uuid, s.tx.now)
	return command, s.tx.PutState(st)
}

// expectOnDevice records that the artifact may be on the channel from now on. What is there under its identifier already stays recorded as it is
// until the device says that it was replaced.
func (s *session) expectOnDevice(a *ArtifactRow) error {
	record, err := s.tx.Record(s.channel.ID, a.Identifier)
	if err != nil || record != nil {
		return err
	}
	return s.tx.PutRecord(RecordRow{ChannelID: s.channel.ID, DeviceID: s.device.ID, Identifier: a.Identifier, Artifact: a.Key})
}
