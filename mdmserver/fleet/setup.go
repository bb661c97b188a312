package fleet

import (
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// await notes that the device says that it waits in Setup Assistant. It is believed each time: nothing but DeviceConfigured gets it out.
func (u *Setup) await() {
	u.Awaiting, u.ConfiguredAt = true, zeroTime
}

// awaits says whether the channel is that of a device that waits in Setup Assistant.
func (s *session) awaits() bool { return s.channel.IsDevice() && s.device.Setup.Awaiting }

// isConfigured says whether a device waits in Setup Assistant and nothing keeps it there: it was told what it should have, and each artifact for the
// device itself is installed, or was refused for good. open are those that are not.
func (s *session) isConfigured(open []StateRow) (bool, error) {
	if !s.awaits() || len(open) > 0 {
		return false, nil
	}
	return ready(s.tx, s.device)
}

// ready says whether a device that has installed what there is to install was told of everything. An artifact that is assigned and was not PUT yet is on its
// way.
func ready(tx *txn, d *DeviceRow) (bool, error) {
	if !d.Setup.Assigned {
		return false, nil
	}
	keys, err := tx.AssignmentsOf(d.ID)
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		if artifact, err := tx.Artifact(key); err != nil || artifact == nil {
			return false, err
		}
	}
	return true, nil
}

// told notes that the manager has told what the device should have in this enrolment, and lets it go if that was all it waited for.
func told(tx *txn, d *DeviceRow) error {
	if d.Platform != adminapi.PlatformApple {
		return nil
	}
	if !d.Setup.Assigned {
		d.Setup.Assigned = true
		if err := tx.PutDevice(*d); err != nil {
			return err
		}
	}
	if !d.Setup.Awaiting {
		return nil
	}
	open, err := tx.OpenStates(d.ID)
	if err != nil || len(open) > 0 {
		return err
	}
	if ok, err := ready(tx, d); err != nil || !ok {
		return err
	}
	return tx.wake(d.ID)
}

// configure lets the device leave Setup Assistant.
func (s *session) configure() ([]byte, error) {
	setup := &s.device.Setup
	command, uuid, err := s.send(Delivery{Configured: &Configured{}}, CommandRow{Kind: CommandConfigured}, nil, setup.CommandUUID)
	if reason, bad := asUnencodable(err); bad {
		s.f.opts.Log.Error("a device cannot be told to leave Setup Assistant", "reason", reason)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	setup.sent(uuid, s.tx.now)
	return command, s.tx.PutDevice(*s.device)
}

// reofferConfigured makes ready again what was sent or deferred.
func (s *session) reofferConfigured() error {
	if s.device.Setup.State == OfferReady {
		return nil
	}
	s.device.Setup.State = OfferReady
	return s.tx.PutDevice(*s.device)
}

// leaveAttempts is how often a device is asked to leave Setup Assistant that answers with an error, which takes two and a half hours. The command has
// nothing in it that could be wrong: a device that goes on refusing it has left, and its answer was lost. If it has not, it says so in a TokenUpdate.
const leaveAttempts = patience + 4

// creditConfigured notes that the device has left, or asks again, with growing pauses.
func (s *session) creditConfigured(r Report) error {
	setup := &s.device.Setup
	refused := r.Status != StatusAcknowledged && r.Status != StatusNotNow
	if refused {
		s.f.opts.Log.Warn("a device refused to leave Setup Assistant", "attempts", setup.Attempts, "more", leaveAttempts-setup.Attempts)
	}
	switch {
	case r.Status == StatusAcknowledged, refused && setup.Attempts >= leaveAttempts:
		setup.Awaiting, setup.ConfiguredAt, setup.Offer = false, s.tx.now, Offer{}
		s.tx.touch(adminapi.KindDevice, s.device.ID)
	case refused:
		setup.postponed()
	default:
		setup.deferred()
	}
	return s.tx.PutDevice(*s.device)
}
