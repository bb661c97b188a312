package wire

import (
	"bytes"
	"encoding/xml"
	"strconv"
)

// Encode writes the message, elements in the order of the DTDs (OMA SyncML Representation Protocol 1.2.2 and Meta Information 1.2.2).
func (m *Message) Encode() []byte {
	w := &writer{}
	w.raw(`<?xml version="1.0" encoding="UTF-8"?><SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto>`)
	w.text("SessionID", m.Header.SessionID)
	w.text("MsgID", m.Header.MsgID)
	w.locURI("Target", m.Header.Target)
	w.locURI("Source", m.Header.Source)
	if c := m.Header.Cred; c != nil {
		w.in("Cred", func() {
			w.in("Meta", func() { w.meta(Meta{Format: c.Format, Type: c.Type}, "") })
			w.text("Data", c.Data)
		})
	}
	w.raw("</SyncHdr><SyncBody>")
	w.commands(m.Commands)
	if m.Final {
		w.raw("<Final/>")
	}
	w.raw("</SyncBody></SyncML>")
	return w.Bytes()
}

type writer struct{ bytes.Buffer }

func (w *writer) raw(s string) { w.WriteString(s) }

// in writes an element around what inside writes.
func (w *writer) in(name string, inside func()) {
	w.raw("<" + name + ">")
	inside()
	w.raw("</" + name + ">")
}

// text writes an element unless its value is empty.
func (w *writer) text(name, value string) {
	if value != "" {
		w.in(name, func() { w.escape(value) })
	}
}

func (w *writer) escape(value string) {
	_ = xml.EscapeText(w, []byte(value)) // a buffer takes every write
}

func (w *writer) locURI(name, uri string) {
	if uri != "" {
		w.in(name, func() { w.text("LocURI", uri) })
	}
}

func (w *writer) commands(commands []Command) {
	for _, c := range commands {
		w.in(c.Name, func() { w.command(c) })
	}
}

// command writes an answer or a command: they share the elements, each leaves out those that it has not.
func (w *writer) command(c Command) {
	w.text("CmdID", c.CmdID)
	w.text("MsgRef", c.MsgRef)
	w.text("CmdRef", c.CmdRef)
	w.text("Cmd", c.Cmd)
	if c.Chal != nil {
		w.in("Chal", func() {
			w.in("Meta", func() { w.meta(Meta{Format: c.Chal.Format, Type: c.Chal.Type}, c.Chal.NextNonce) })
		})
	}
	if c.OriginalError != "" {
		w.raw(`<Data xmlns:msft="http://schemas.microsoft.com/MobileDevice/MDM" msft:originalerror="`)
		w.escape(c.OriginalError)
		w.raw(`">`)
		w.escape(c.Data)
		w.raw("</Data>")
	} else {
		w.text("Data", c.Data)
	}
	for _, item := range c.Items {
		w.in("Item", func() { w.item(item) })
	}
	w.commands(c.Commands)
}

func (w *writer) item(i Item) {
	w.locURI("Target", i.Target)
	w.locURI("Source", i.Source)
	if i.Meta != (Meta{}) {
		w.in("Meta", func() { w.meta(i.Meta, "") })
	}
	if i.hasData() {
		w.in("Data", func() { w.escape(i.Data) })
	}
	if i.More {
		w.raw("<MoreData/>")
	}
}

// hasData tells an empty value from none: a format says that there is a value, but for those formats that have none.
func (i Item) hasData() bool {
	switch i.Meta.Format {
	case "", "node", "null":
		return i.Data != ""
	}
	return true
}

// meta writes elements of the meta information, which each name their namespace.
func (w *writer) meta(m Meta, nextNonce string) {
	size := ""
	if m.Size > 0 {
		size = strconv.Itoa(m.Size)
	}
	for _, e := range []struct{ name, value string }{{"Format", m.Format}, {"Type", m.Type}, {"Size", size}, {"NextNonce", nextNonce}} {
		if e.value != "" {
			w.raw("<" + e.name + ` xmlns="syncml:metinf">`)
			w.escape(e.value)
			w.raw("</" + e.name + ">")
		}
	}
}
