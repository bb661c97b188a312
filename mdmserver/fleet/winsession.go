package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

const (
	// maxSessionMessages is how many messages of a session are answered with work: one that never ends gets nothing more after them.
	maxSessionMessages = 500
	// repeatWithin is how long a message is answered as before when it comes again. Windows numbers its sessions anew from time to time.
	repeatWithin = time.Hour
)

// winSession is one message of an OMA-DM session.
type winSession struct {
	*session
	// user is the channel of whoever is logged in, nil if nobody is whom the device knows as its user; then absent is that channel.
	user, absent *session
	row          *SessionRow
	state        *sessionState
	// again is true when the reply to the message was lost. A first message that got no commands is looked at anew: there may be some by now.
	again bool
	// opens is true when the message begins a session. One in the middle of a session that nobody knows does too.
	opens bool
	// assigned are the artifacts of the channels, read once.
	assigned map[string][]*assignedProfile
}

// Manage takes one message of a device in an OMA-DM session and returns the commands for its reply, in one transaction; none ends the session. A
// repeat of (SessionID, MsgID) gets the same commands again, and a message that brings nothing new and finds nothing to do writes nothing. by is
// how the device proved itself. Errors as of Verify, and ErrReenrolmentBlocked while another enrolment has the serial number of the device.
func (f *Fleet) Manage(ctx context.Context, id Identity, deviceID string, by adminapi.ManagementAuthentication, m WindowsMessage) ([]WindowsOrder, error) {
	ch := windowsChannel(deviceID)
	if m.First {
		idle, err := f.nothingToManage(ctx, id, ch, by, &m)
		if err != nil || idle {
			return nil, err
		}
	}
	var orders []WindowsOrder
	err := f.identified(ctx, id, ch, speaks, func(tx *txn, c *claim) error {
		s, err := f.joinSession(tx, c, &m)
		if err != nil {
			return err
		}
		if s.again {
			orders = s.state.sentIn(m.MsgID)
			return nil
		}
		orders, err = s.handle(c, by, &m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return orders, nil
}

// nothingToManage answers the first message of an idle device without writing, which is what nearly all messages of a quiet fleet are.
func (f *Fleet) nothingToManage(ctx context.Context, id Identity, ch Channel, by adminapi.ManagementAuthentication, m *WindowsMessage) (bool, error) {
	idle := false
	err := f.view(ctx, func(tx *txn) error {
		c, err := gatherClaim(tx, id, ch)
		if err != nil {
			return err
		}
		if err := speaks(c); err != nil {
			return err
		}
		s, err := f.joinSession(tx, c, m)
		if err != nil || s.brings(c, by, m) {
			return err
		}
		idle, err = s.idle()
		return err
	})
	if idle {
		f.saw(ch.DeviceID)
	}
	return idle, err
}

// brings says whether something of the message itself is to be stored.
func (s *winSession) brings(c *claim, by adminapi.ManagementAuthentication, m *WindowsMessage) bool {
	facts := factsOf(m.replaced())
	return s.again || s.device.State != adminapi.DeviceEnrolled || c.known == nil || c.renewed() || stronger(by, s.device.Authentication) ||
		unenrolledByUser(m) || s.device.Facts.merge(facts.unnamed()) != s.device.Facts
}

// idle says whether nothing waits for the device and its user. A user who is not there can wait, but not with an agent that is told to call each time.
func (s *winSession) idle() (bool, error) {
	if s.factsDue() || s.absent != nil && s.absent.due() {
		return false, nil
	}
	released, err := s.releasedConflicts()
	if err != nil || len(released) > 0 {
		return false, err
	}
	for _, ch := range s.channels() {
		if !ch.channel.WakeAt.IsZero() {
			return false, nil
		}
		if w, err := ch.gather(); err != nil || !w.empty() {
			return false, err
		}
	}
	return true, nil
}

// joinSession reads what is known of the session that the message belongs to.
func (f *Fleet) joinSession(tx *txn, c *claim, m *WindowsMessage) (*winSession, error) {
	s := &winSession{session: &session{f: f, tx: tx, device: c.device}, assigned: map[string][]*assignedProfile{}}
	if err := s.load(); err != nil {
		return nil, err
	}
	s.again = s.row.SessionID == m.SessionID && s.row.MsgID == m.MsgID && tx.now.Sub(s.row.UpdatedAt) < repeatWithin &&
		(!m.First || len(s.state.sentIn(m.MsgID)) > 0)
	s.opens = !s.again && (m.First || s.row.SessionID != m.SessionID)
	if s.opens {
		s.state.Messages, s.state.Login, s.state.Asked, s.state.Jobs = 0, m.Login, false, nil
	}
	return s, s.reachChannels()
}

// reachChannels finds the channels that this session reaches: none before the enrolment is complete.
func (s *winSession) reachChannels() error {
	own, err := s.tx.Channel(s.device.ID)
	if err != nil {
		return err
	}
	s.channel = own
	row, err := s.tx.Channel(userChannelOf(s.device.ID))
	if err != nil || row == nil || !row.Enabled {
		return err
	}
	user := &session{f: s.f, tx: s.tx, device: s.device, channel: row}
	if s.state.Login == loginUser {
		s.user = user
	} else {
		s.absent = user
	}
	return nil
}

// loginUser is the LoginStatus of a session in which the user is logged in who enrolled the device (its LoginStatus alert).
const loginUser = "user"

func userChannelOf(deviceID string) string { return deviceID + ":user" }

// channels lists those that this session reaches.
func (s *winSession) channels() []*session {
	if s.user == nil {
		return []*session{s.session}
	}
	return []*session{s.session, s.user}
}

// handle stores what the message says and decides on the reply.
func (s *winSession) handle(c *claim, by adminapi.ManagementAuthentication, m *WindowsMessage) ([]WindowsOrder, error) {
	if s.opens {
		if err := s.open(); err != nil {
			return nil, err
		}
	}
	s.row.SessionID, s.row.MsgID = m.SessionID, m.MsgID
	s.state.Messages++
	if err := s.recognise(c, by); err != nil {
		return nil, err
	}
	s.state.credit(m)
	if err := s.hear(m); err != nil || s.over() {
		return nil, err
	}
	var orders []WindowsOrder
	if !m.More {
		var err error
		if orders, err = s.reply(m); err != nil || s.over() {
			return nil, err
		}
	}
	if err := s.rest(len(orders) > 0 || m.More); err != nil {
		return nil, err
	}
	return orders, s.save()
}

// reply concludes what was answered and begins what else there is to do, as far as it goes into one message.
func (s *winSession) reply(m *WindowsMessage) ([]WindowsOrder, error) {
	if err := s.advance(); err != nil || s.over() {
		return nil, err
	}
	if m.Aborted || s.state.Messages > maxSessionMessages {
		return nil, nil
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s.state.send(m.MsgID), nil
}

// over says whether the enrolment ended in this message.
func (s *winSession) over() bool { return s.device.State == adminapi.DeviceEnded }

// open begins a session. Whatever an earlier one left unanswered may be offered again.
func (s *winSession) open() error {
	if s.device.State != adminapi.DeviceEnrolled {
		return nil
	}
	for _, ch := range s.channels() {
		if err := ch.reoffer(); err != nil {
			return err
		}
		if err := ch.handOver(); err != nil {
			return err
		}
	}
	return s.releaseConflicts()
}

// recognise completes a renewal with its first session and notes by what layer the device proves itself.
func (s *winSession) recognise(c *claim, by adminapi.ManagementAuthentication) error {
	before := *s.device
	if s.device.State == adminapi.DeviceEnrolled {
		if err := s.f.activate(s.tx, c); err != nil {
			return err
		}
	}
	if stronger(by, s.device.Authentication) {
		s.device.Authentication = by
	}
	if s.device.Fingerprint == before.Fingerprint && s.device.Authentication == before.Authentication {
		return nil
	}
	s.tx.touch(adminapi.KindDevice, s.device.ID)
	return s.tx.PutDevice(*s.device)
}

// layers are the ways to prove an identity, weakest first.
var layers = []adminapi.ManagementAuthentication{adminapi.AuthDigest, adminapi.AuthForwarded, adminapi.AuthMutualTLS, adminapi.AuthSignature}

func stronger(a, b adminapi.ManagementAuthentication) bool {
	return slices.Index(layers, a) > slices.Index(layers, b)
}

// alertUnenroll is the type of the alert that Windows sends when its user disconnects it from management.
const alertUnenroll = "com.microsoft:mdm.unenrollment.userrequest"

func unenrolledByUser(m *WindowsMessage) bool {
	return slices.ContainsFunc(m.Alerts, func(a WindowsAlert) bool { return a.Code == 1226 && a.Type == alertUnenroll })
}

// hear takes what the device says without being asked. Alerts of other kinds change nothing.
func (s *winSession) hear(m *WindowsMessage) error {
	if unenrolledByUser(m) {
		reason := adminapi.EndCheckedOut
		if s.device.Intent == adminapi.IntentUnenroll {
			reason = adminapi.EndUnenrolled
		}
		return end(s.tx, s.device, reason)
	}
	return s.learnFacts(factsOf(m.replaced()))
}

// rest settles when the channels are woken again.
func (s *winSession) rest(busy bool) error {
	if s.device.State != adminapi.DeviceEnrolled {
		return nil
	}
	channels := s.channels()
	if s.absent != nil {
		channels = append(channels, s.absent)
	}
	for _, ch := range channels {
		w, err := ch.gather()
		if err != nil {
			return err
		}
		if err := ch.wakeAt(w.pauseAfter(s.tx.now, busy)); err != nil {
			return err
		}
	}
	return nil
}
