package windows

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// maxMessages is far above any session: a longer one would never end.
const maxMessages = 1000

// Alerts (OMA-DM Representation 1.2, MS-MDM section 2.2.7.2).
const (
	alertServerInitiated = 1200
	alertClientInitiated = 1201
	alertNextMessage     = 1222
	alertAbort           = 1223
	alertClientEvent     = 1224
	// AlertGeneric carries a Type of its own.
	AlertGeneric = 1226
)

// TypeUnenrol is the Type of the generic alert by which a PC says that it leaves.
const TypeUnenrol = "com.microsoft:mdm.unenrollment.userrequest"

// SessionOptions make a session.
type SessionOptions struct {
	// Login is who is logged in; empty: whoever SetLogin said.
	Login Login
	// ServerInitiated opens the session with alert 1200.
	ServerInitiated bool
	// Alerts go with the first message.
	Alerts []Alert
	// Forge changes each request before it is sent, repeats included.
	Forge func(*Message)
}

// Alert is an event that the PC tells.
type Alert struct {
	Code                       int
	Type, LocURI, Format, Data string
}

// Report sums a session up.
type Report struct {
	// Messages that were sent, repeats left out; Challenges that were answered.
	Messages, Challenges int
	Commands             []CommandAnswer
	// SignedIn is true when the server wanted no more credentials (212).
	SignedIn bool
}

// StatusError is a Status of SyncHdr that ends a session.
type StatusError struct{ Code int }

// Error names the status.
func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answered SyncHdr with %d", e.Code)
}

// session is one conversation over OMA-DM.
type session struct {
	pc     *PC
	e      *enrollment
	opts   SessionOptions
	id     string
	msgID  int
	report *Report
	// consequences happen once the server has the answers: a restart, a wipe.
	consequences []func()
	events       []devicesim.Event
	crashed      bool
	line         line
}

// Session talks to the server until it has no more commands.
func (pc *PC) Session(ctx context.Context, opts SessionOptions) (*Report, error) {
	pc.conversation.Lock()
	defer pc.conversation.Unlock()
	e, err := pc.current()
	if err != nil {
		return nil, err
	}
	return pc.session(ctx, e, opts)
}

func (pc *PC) session(ctx context.Context, e *enrollment, opts SessionOptions) (*Report, error) {
	pc.mu.Lock()
	pc.sessions++
	s := &session{pc: pc, e: e, opts: opts, id: pc.sessionID(), report: &Report{}, line: line{pc: pc}}
	if s.opts.Login == "" {
		s.opts.Login = pc.login
	}
	pc.tree.advanceInstalls(pc.nextMSI)
	pc.mu.Unlock()
	defer s.line.hangUp()
	err := s.run(ctx)
	if err != nil {
		return s.report, fmt.Errorf("session %s: %w", s.id, err)
	}
	pc.event(EventSession, fmt.Sprintf("%d messages, %d commands", s.report.Messages, len(s.report.Commands)))
	return s.report, nil
}

// sessionID is decimal, and hexadecimal from SyncApplicationVersion 2.0 on (DMClient CSP).
func (pc *PC) sessionID() string {
	if pc.applicationVersion() >= 2 {
		return strconv.FormatInt(int64(pc.sessions), 16)
	}
	return strconv.Itoa(pc.sessions)
}

func (pc *PC) applicationVersion() float64 {
	version, err := strconv.ParseFloat(pc.tree.value(pc.enrollment.dmClient("SyncApplicationVersion")), 64)
	if err != nil {
		return 1
	}
	return version
}

func (s *session) run(ctx context.Context) error {
	parts := s.opening()
	for len(parts) > 0 {
		r, err := s.deliver(ctx, parts)
		ended := s.settle() // even if the answer was lost
		if err != nil {
			return err
		}
		if ended || r.aborts() {
			return nil
		}
		parts = s.obey(r.commands)
		if s.crashed {
			s.settle()
			return ErrInterrupted
		}
		if s.msgID > maxMessages {
			return errors.New("it does not end")
		}
	}
	return nil
}

func (r *reply) aborts() bool {
	for _, c := range r.commands {
		if c.alert == alertAbort {
			return true
		}
	}
	return false
}

// settle lets the consequences happen and says whether the enrolment ended by them.
func (s *session) settle() bool {
	for _, happen := range s.consequences {
		happen()
	}
	s.consequences = nil
	for _, e := range s.events {
		s.pc.opts.OnEvent(e)
	}
	s.events = nil
	return !s.pc.Enrolled()
}

// opening is the first package: what the session is for and who is logged in, and what the PC is.
func (s *session) opening() []*element {
	reason := alertClientInitiated
	if s.opts.ServerInitiated {
		reason = alertServerInitiated
	}
	parts := []*element{
		tag("Alert", tag("Data", strconv.Itoa(reason))),
		Alert{Code: alertClientEvent, Type: "com.microsoft/MDM/LoginStatus", Data: string(s.opts.Login)}.part(),
	}
	for _, a := range s.opts.Alerts {
		parts = append(parts, a.part())
	}
	s.pc.mu.Lock()
	defer s.pc.mu.Unlock()
	replace := tag("Replace")
	for _, name := range []string{"DevId", "Man", "Mod", "DmV", "Lang"} {
		replace.children = append(replace.children,
			tag("Item", tag("Source", tag("LocURI", "./DevInfo/"+name)), tag("Data", s.pc.tree.value("DevInfo/"+name))))
	}
	return append(parts, replace)
}

func (a Alert) part() *element {
	i := tag("Item")
	if a.LocURI != "" {
		i.children = append(i.children, tag("Source", tag("LocURI", a.LocURI)))
	}
	i.children = append(i.children, meta(a.Format, a.Type), tag("Data", a.Data))
	return tag("Alert", tag("Data", strconv.Itoa(a.Code)), i)
}

// meta describes an item's data; nil when there is nothing to say.
func meta(format, mediaType string) *element {
	m, ns := tag("Meta"), attr("xmlns", nsMeta)
	if format != "" {
		m.children = append(m.children, tag("Format", ns, format))
	}
	if mediaType != "" {
		m.children = append(m.children, tag("Type", ns, mediaType))
	}
	if len(m.children) == 0 {
		return nil
	}
	return m
}

// deliver sends a package in as many messages as it needs and returns the answer to the last.
func (s *session) deliver(ctx context.Context, parts []*element) (*reply, error) {
	messages := split(parts, s.pc.opts.MaxChunk)
	for i, message := range messages {
		last := i == len(messages)-1
		if i > 0 {
			message = append(s.headerStatus(), message...)
		}
		r, err := s.exchange(ctx, message, last)
		if err != nil || last {
			return r, err
		}
		if err := r.wantsMore(); err != nil {
			return nil, malformed("after a part of a package: %w", err)
		}
	}
	return nil, errors.New("an empty package")
}

// wantsMore checks the answer to a message whose package goes on: the part was accepted, and nothing but the next message is wanted.
func (r *reply) wantsMore() error {
	for _, c := range r.commands {
		if c.alert != alertNextMessage {
			return fmt.Errorf("%s instead of alert %d", c.verb, alertNextMessage)
		}
	}
	for _, st := range r.statuses {
		if st.cmd == "Results" && st.code == 213 {
			return nil
		}
	}
	return errors.New("no status 213 of the Results")
}
