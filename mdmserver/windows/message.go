package windows

import (
	"strconv"
	"strings"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
)

// Types of alerts in which Windows tells about the session (MS-MDM section 2.2.7.2).
const (
	typeLoginStatus = "com.microsoft/MDM/LoginStatus"
	typeUserToken   = "com.microsoft/MDM/AADUserToken"
)

// Bounds of what an alert says, in bytes.
const (
	maxAlertName = 1024
	maxAlertData = 4096
)

// maxMessages is the last message of a session after which the next is asked for: a package of a device ends some time.
const maxMessages = 500

// codeFailed is what a status without a code counts as.
const codeFailed = 500

// tell turns what a device sent into what fleet is told. goesOn is true when the package may go on in another message: Final is missing, which real
// clients also leave out of messages that only answer.
func tell(m *wire.Message) (t fleet.WindowsMessage, goesOn bool) {
	t = fleet.WindowsMessage{SessionID: m.Header.SessionID, MsgID: m.Header.MsgID}
	for _, c := range m.Commands {
		switch c.Name {
		case wire.CmdStatus:
			tellStatus(&t, c)
		case wire.CmdResults:
			t.Results = append(t.Results, results(c)...)
		case wire.CmdReplace:
			t.Replaced = append(t.Replaced, results(c)...)
		case wire.CmdAlert:
			tellAlert(&t, c)
		}
	}
	answers, events := len(t.Statuses)+len(t.Results) > 0, t.First || len(t.Alerts)+len(t.Replaced) > 0
	t.More = t.More || !m.Final && events && !answers
	return t, !m.Final && (events || answers)
}

// tellStatus leaves out what answers no command of fleet's.
func tellStatus(t *fleet.WindowsMessage, c wire.Command) {
	if c.CmdRef == "" || c.CmdRef == wire.HeaderRef || c.Cmd == wire.CmdAlert {
		return
	}
	code, err := strconv.Atoi(c.Data)
	if err != nil {
		code = codeFailed
	}
	t.Statuses = append(t.Statuses, fleet.WindowsStatus{MsgRef: c.MsgRef, CmdRef: c.CmdRef, Code: code, OriginalError: clip(c.OriginalError, maxAlertName)})
}

func results(c wire.Command) []fleet.WindowsResult {
	out := make([]fleet.WindowsResult, 0, len(c.Items))
	for _, item := range c.Items {
		out = append(out, fleet.WindowsResult{
			MsgRef: c.MsgRef, CmdRef: c.CmdRef, LocURI: locURI(item), Format: item.Meta.Format, Type: item.Meta.Type, Data: item.Data,
		})
	}
	return out
}

// locURI is the node that an item of a device is about. Some clients name it as the target.
func locURI(i wire.Item) string {
	if i.Source != "" {
		return i.Source
	}
	return i.Target
}

func tellAlert(t *fleet.WindowsMessage, c wire.Command) {
	switch c.Data {
	case wire.AlertServerInitiated, wire.AlertClientInitiated:
		t.First = true
		return
	case wire.AlertNextMessage:
		t.More = true
		return
	case wire.AlertAbort:
		t.Aborted = true
		return
	}
	code, err := strconv.Atoi(c.Data)
	if err != nil {
		code = 0 // no alert has this code
	}
	if len(c.Items) == 0 {
		t.Alerts = append(t.Alerts, fleet.WindowsAlert{Code: code})
	}
	for _, item := range c.Items {
		switch item.Meta.Type {
		case typeLoginStatus:
			t.Login = clip(strings.TrimSpace(item.Data), maxAlertName)
		case typeUserToken: // a secret that the server has no use for
		default:
			t.Alerts = append(t.Alerts, fleet.WindowsAlert{
				Code: code, Type: clip(item.Meta.Type, maxAlertName), LocURI: clip(locURI(item), maxAlertName),
				Fmt: clip(item.Meta.Format, maxAlertName), Data: clip(item.Data, maxAlertData),
			})
		}
	}
}

// clip cuts a text off, between two characters.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// reply is an answer in the making.
type reply struct {
	to      *wire.Message
	header  wire.Command
	message wire.Message
	lastID  int
}

// reply begins the answer with the status of the message's header, of which header has the code.
func (h *management) reply(to *wire.Message, header wire.Command) *reply {
	return &reply{to: to, header: header, message: wire.Message{
		Header: wire.Header{SessionID: to.Header.SessionID, MsgID: to.Header.MsgID, Target: to.Header.Source, Source: h.url},
		Final:  true,
	}}
}

// end is the answer that refuses everything.
func (r *reply) end() *wire.Message {
	r.status(wire.Command{Name: wire.CmdHeader, CmdID: wire.HeaderRef}, r.header)
	return &r.message
}

// answer has a status for the header and for each command, in their order, then the orders.
func (r *reply) answer(in joined, orders []fleet.WindowsOrder) *wire.Message {
	commands := make([]wire.Command, 0, len(orders))
	for _, o := range orders {
		commands = append(commands, order(o))
		r.lastID += 1 + len(o.Inner) // fleet numbers the orders from 1 on
	}
	r.end()
	for i, c := range r.to.Commands {
		if code := in.statusOf(i, c); code != "" {
			r.status(c, wire.Command{Data: code})
		}
	}
	if in.told.More || in.goesOn && len(orders) == 0 {
		r.askForNext()
	}
	r.message.Commands = append(r.message.Commands, commands...)
	return &r.message
}

// askForNext asks for the next message of a package. A session that never ends is asked no more.
func (r *reply) askForNext() {
	if n, err := strconv.Atoi(r.to.Header.MsgID); err == nil && n <= maxMessages {
		r.add(wire.Command{Name: wire.CmdAlert, Data: wire.AlertNextMessage})
	}
}

func (r *reply) status(of, with wire.Command) {
	with.Name, with.MsgRef, with.CmdRef, with.Cmd = wire.CmdStatus, r.to.Header.MsgID, of.CmdID, of.Name
	r.add(with)
}

// add appends a command that nobody refers to.
func (r *reply) add(c wire.Command) {
	r.lastID++
	c.CmdID = strconv.Itoa(r.lastID)
	r.message.Commands = append(r.message.Commands, c)
}

// order writes a command of fleet's in SyncML.
func order(o fleet.WindowsOrder) wire.Command {
	c := command(o.ID, o.Command)
	for i, inner := range o.Command.Commands {
		c.Commands = append(c.Commands, command(o.Inner[i], inner))
	}
	return c
}

func command(id string, c adminapi.SyncMLCommand) wire.Command {
	out := wire.Command{Name: string(c.Verb), CmdID: id}
	if c.LocURI != "" {
		out.Items = []wire.Item{{Target: c.LocURI, Meta: wire.Meta{Format: c.Format, Type: c.Type}, Data: c.Data}}
	}
	return out
}
