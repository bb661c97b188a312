package windows

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Namespaces of SyncML, and of Microsoft's attribute for HRESULTs.
const (
	nsSyncML  = "SYNCML:SYNCML1.2"
	nsMeta    = "syncml:metinf"
	nsError   = "http://schemas.microsoft.com/MobileDevice/MDM"
	authMD5   = "syncml:auth-md5"
	authBasic = "syncml:auth-basic"
)

// reply is a message of the server.
type reply struct {
	header   status // of the SyncHdr that it answers
	statuses []status
	commands []command
	final    bool
}

// status answers one of the PC's own commands.
type status struct {
	cmdRef, cmd string
	code        int
	nonceType   string
	nextNonce   string
}

// command is what the server wants.
type command struct {
	verb, id string
	items    []item
	alert    int       // of an Alert
	inner    []command // of an Atomic or a Sequence
}

// item is the object of a command.
type item struct {
	locURI string
	node   Node
}

// expectation is what a reply has to refer to.
type expectation struct {
	sessionID, msgID string
	deviceID         string
	sent             []string // the PC's commands; the CmdID of the first is 1
}

// parseReply reads a message as strictly as the DTDs of SyncML 1.2 and the rules of MS-MDM want it.
func parseReply(document []byte, want expectation) (*reply, error) {
	root, err := parse(document)
	if err != nil {
		return nil, err
	}
	if root.Local != "SyncML" || root.Space != nsSyncML {
		return nil, fmt.Errorf("<%s> of %q", root.Local, root.Space)
	}
	if err := root.inOrder("SyncHdr", "SyncBody"); err != nil {
		return nil, err
	}
	if err := checkHeader(root.child("SyncHdr"), want); err != nil {
		return nil, fmt.Errorf("SyncHdr: %w", err)
	}
	r := &reply{}
	if err := r.readBody(root.child("SyncBody"), want); err != nil {
		return nil, fmt.Errorf("SyncBody: %w", err)
	}
	return r, r.isComplete(want)
}

// isComplete wants a status of each Replace that was taken; in practice servers leave out those of alerts, and those of what only answers.
func (r *reply) isComplete(want expectation) error {
	for i, cmd := range want.sent {
		id := strconv.Itoa(i + 1)
		answered := slices.ContainsFunc(r.statuses, func(s status) bool { return s.cmdRef == id })
		if cmd == "Replace" && r.header.code < 300 && !answered {
			return fmt.Errorf("no Status of the Replace %s", id)
		}
	}
	return nil
}

func checkHeader(h *element, want expectation) error {
	if h == nil {
		return errors.New("missing")
	}
	if err := h.inOrder("VerDTD", "VerProto", "SessionID", "MsgID", "Target", "Source", "RespURI", "NoResp", "Cred", "Meta"); err != nil {
		return err
	}
	for path, value := range map[string]string{
		"VerDTD": "1.2", "VerProto": "DM/1.2", "SessionID": want.sessionID, "MsgID": want.msgID, "Target/LocURI": want.deviceID,
	} {
		if got := h.value(path); got != value {
			return fmt.Errorf("%s is %q, not %q", path, got, value)
		}
	}
	if h.value("Source/LocURI") == "" {
		return errors.New("no Source")
	}
	return nil
}

// readBody takes the statuses, of which that of SyncHdr is the first, and the commands.
func (r *reply) readBody(body *element, want expectation) error {
	if body == nil || len(body.children) == 0 {
		return errors.New("missing")
	}
	ids := map[string]bool{"": true, "0": true}
	for i, c := range body.children {
		if c.Local == "Final" {
			if i != len(body.children)-1 {
				return errors.New("an element after Final")
			}
			r.final = true
			continue
		}
		if err := unique(c, ids); err != nil {
			return err
		}
		if c.Local == "Status" {
			if err := r.readStatus(c, want, i == 0); err != nil {
				return fmt.Errorf("status: %w", err)
			}
			continue
		}
		if i == 0 {
			return errors.New("the first element is not the Status of SyncHdr")
		}
		parsed, err := parseCommand(c, ids)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Local, err)
		}
		r.commands = append(r.commands, parsed)
	}
	return nil
}

// unique wants a CmdID that is used once in a message.
func unique(c *element, ids map[string]bool) error {
	id := c.value("CmdID")
	if ids[id] {
		return fmt.Errorf("%s has the CmdID %q, which is no id or used before", c.Local, id)
	}
	ids[id] = true
	return nil
}

func (r *reply) readStatus(c *element, want expectation, first bool) error {
	if err := c.inOrder("CmdID", "MsgRef", "CmdRef", "Cmd", "TargetRef", "SourceRef", "Cred", "Chal", "Data", "Item"); err != nil {
		return err
	}
	code, err := strconv.Atoi(c.value("Data"))
	if err != nil || c.value("MsgRef") != want.msgID {
		return fmt.Errorf("data %q, MsgRef %q", c.value("Data"), c.value("MsgRef"))
	}
	s := status{
		cmdRef: c.value("CmdRef"), cmd: c.value("Cmd"), code: code,
		nonceType: c.value("Chal/Meta/Type"), nextNonce: c.value("Chal/Meta/NextNonce"),
	}
	if first != (s.cmdRef == "0" && s.cmd == "SyncHdr") {
		return fmt.Errorf("%s %s: that of SyncHdr comes first", s.cmd, s.cmdRef)
	}
	if first {
		r.header = s
		return nil
	}
	return r.addStatus(s, want)
}

// addStatus takes a status of what was sent, in the order in which it was sent, before any command.
func (r *reply) addStatus(s status, want expectation) error {
	at, err := strconv.Atoi(s.cmdRef)
	if err != nil || at < 1 || at > len(want.sent) || want.sent[at-1] != s.cmd {
		return fmt.Errorf("%s %s was not sent", s.cmd, s.cmdRef)
	}
	if last := len(r.statuses) - 1; last >= 0 {
		if before, _ := strconv.Atoi(r.statuses[last].cmdRef); before > at {
			return fmt.Errorf("that of command %d comes after that of %d", at, before)
		}
	}
	if len(r.commands) > 0 {
		return errors.New("it comes after commands")
	}
	r.statuses = append(r.statuses, s)
	return nil
}

var verbs = []string{"Add", "Replace", "Delete", "Get", "Exec", "Atomic", "Sequence", "Alert"}

func parseCommand(c *element, ids map[string]bool) (command, error) {
	parsed := command{verb: c.Local, id: c.value("CmdID")}
	switch {
	case !slices.Contains(verbs, c.Local):
		return parsed, errors.New("unknown command")
	case c.Local == "Atomic" || c.Local == "Sequence":
		return parsed, parsed.readInner(c, ids)
	}
	if err := c.inOrder("CmdID", "NoResp", "Cred", "Meta", "Data", "Item"); err != nil {
		return parsed, err
	}
	if c.Local == "Alert" {
		var err error
		parsed.alert, err = strconv.Atoi(c.value("Data"))
		return parsed, err
	}
	for _, i := range c.all("Item") {
		read, err := parseItem(i)
		if err != nil {
			return parsed, err
		}
		if read.node.Format == "" {
			read.node.Format = c.value("Meta/Format")
		}
		parsed.items = append(parsed.items, read)
	}
	if len(parsed.items) == 0 {
		return parsed, errors.New("no Item")
	}
	return parsed, nil
}

func (c *command) readInner(e *element, ids map[string]bool) error {
	for _, child := range e.children {
		if slices.Contains([]string{"CmdID", "NoResp", "Meta"}, child.Local) {
			continue
		}
		if err := unique(child, ids); err != nil {
			return err
		}
		inner, err := parseCommand(child, ids)
		if err != nil {
			return fmt.Errorf("%s: %w", child.Local, err)
		}
		c.inner = append(c.inner, inner)
	}
	if len(c.inner) == 0 {
		return errors.New("it is empty")
	}
	return nil
}

func parseItem(e *element) (item, error) {
	if err := e.inOrder("Target", "Source", "Meta", "Data", "MoreData"); err != nil {
		return item{}, err
	}
	if meta := e.child("Meta"); meta != nil {
		for _, m := range meta.children {
			if m.Space != nsMeta {
				return item{}, fmt.Errorf("<%s> in Meta is not of %s", m.Local, nsMeta)
			}
		}
	}
	i := item{locURI: e.value("Target/LocURI"), node: Node{Format: e.value("Meta/Format"), Type: e.value("Meta/Type")}}
	if i.locURI == "" || e.child("MoreData") != nil {
		return item{}, errors.New("an Item without Target, or with MoreData, which servers do not send")
	}
	data := e.child("Data")
	if data == nil {
		return i, nil
	}
	if len(data.children) > 0 {
		return item{}, errors.New("elements in Data: they are to be escaped")
	}
	i.node.Data = data.text
	return i, nil
}
