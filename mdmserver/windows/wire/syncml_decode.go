package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of what names a session, a message, a command or a device, in bytes. Real ones stay far below.
const (
	maxID     = 64
	maxDevice = 255
)

var (
	errNoSyncML  = errors.New("the message has no SyncHdr")
	errNoSource  = errors.New("the message does not name its device")
	errSessionID = errors.New("the message does not name its session")
	errMsgID     = errors.New("the message's number is not a number from 1 up")
	errLongID    = fmt.Errorf("an id has more than %d bytes", maxID)
)

// DecodeSyncML reads a message of a device. It takes what real clients send: elements in any order and namespace, a missing Final, CmdID or Status of the
// header, answers without MsgRef (which then is 1), XML in Data that is not escaped. It refuses what cannot be answered.
func DecodeSyncML(body []byte) (*Message, error) {
	root, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("reading SyncML: %w", err)
	}
	header := root.child("SyncHdr")
	if root.name != "SyncML" || header == nil {
		return nil, errNoSyncML
	}
	m := &Message{Header: Header{
		SessionID: header.id("SessionID"),
		MsgID:     header.id("MsgID"),
		Target:    header.locURI("Target"),
		Source:    header.locURI("Source"),
		Cred:      decodeCred(header.child("Cred")),
	}}
	if err := m.Header.check(); err != nil {
		return nil, err
	}
	if sync := root.child("SyncBody"); sync != nil {
		m.Commands, err = decodeCommands(sync)
		m.Final = sync.child("Final") != nil
	}
	return m, err
}

func (h *Header) check() error {
	n, err := strconv.Atoi(h.MsgID)
	switch {
	case h.SessionID == "":
		return errSessionID
	case err != nil || n < 1:
		return errMsgID
	case h.Source == "" || len(h.Source) > maxDevice:
		return errNoSource
	case len(h.SessionID) > maxID || len(h.MsgID) > maxID:
		return errLongID
	}
	return nil
}

func decodeCred(e *element) *Cred {
	if e == nil {
		return nil
	}
	meta := e.child("Meta")
	return &Cred{Type: meta.id("Type"), Format: meta.id("Format"), Data: e.id("Data")}
}

func decodeCommands(parent *element) ([]Command, error) {
	var commands []Command
	for _, e := range parent.children {
		if !isCommand(e.name) {
			continue
		}
		c, err := decodeCommand(e)
		if err != nil {
			return nil, err
		}
		commands = append(commands, c)
	}
	return commands, nil
}

// isCommand tells commands from what else may stand beside them.
func isCommand(name string) bool {
	switch name {
	case "Final", "CmdID", "NoResp", "NoResults", "Cred", "Meta", "Item":
		return false
	}
	return true
}

func decodeCommand(e *element) (Command, error) {
	c := Command{Name: e.name, CmdID: e.id("CmdID"), MsgRef: e.id("MsgRef"), CmdRef: e.id("CmdRef"), Cmd: e.id("Cmd"), Data: e.id("Data")}
	if max(len(c.Name), len(c.CmdID), len(c.MsgRef), len(c.CmdRef), len(c.Cmd), len(c.Data)) > maxID {
		return Command{}, errLongID
	}
	if c.MsgRef == "" && (c.Name == CmdStatus || c.Name == CmdResults) {
		c.MsgRef = "1"
	}
	if data := e.child("Data"); data != nil {
		c.OriginalError = data.attribute("originalerror")
	}
	shared := decodeMeta(e.child("Meta"))
	for _, child := range e.children {
		if child.name == "Item" {
			c.Items = append(c.Items, decodeItem(child, shared))
		}
	}
	var err error
	if c.Name == CmdAtomic || c.Name == CmdSequence {
		c.Commands, err = decodeCommands(e)
	}
	return c, err
}

// decodeItem reads an item; what its own Meta does not say, that of its command says for all items.
func decodeItem(e *element, shared Meta) Item {
	item := Item{Target: e.locURI("Target"), Source: e.locURI("Source"), Meta: decodeMeta(e.child("Meta")), More: e.child("MoreData") != nil}
	if item.Meta.Format == "" {
		item.Meta.Format = shared.Format
	}
	if item.Meta.Type == "" {
		item.Meta.Type = shared.Type
	}
	if data := e.child("Data"); data != nil {
		item.Data = data.value()
	}
	return item
}

// decodeMeta takes a size that is no number for none.
func decodeMeta(e *element) Meta {
	size, err := strconv.Atoi(e.id("Size"))
	if err != nil {
		size = 0
	}
	return Meta{Format: e.id("Format"), Type: e.id("Type"), Size: size}
}

// id is the text of a child without the white space around it, "" when there is none.
func (e *element) id(name string) string {
	child := e.child(name)
	if child == nil {
		return ""
	}
	return strings.TrimSpace(child.text)
}

func (e *element) locURI(name string) string { return e.child(name).id("LocURI") }
