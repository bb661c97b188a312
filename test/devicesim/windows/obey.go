package windows

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// obey runs the commands of a message in order and returns the package that answers them: statuses, then results. It is empty when there was
// nothing to answer.
func (s *session) obey(commands []command) []*element {
	s.pc.mu.Lock()
	defer s.pc.mu.Unlock()
	statuses, results, heard := s.headerStatus(), []*element{}, false
	for _, c := range commands {
		if c.verb == "Alert" {
			continue
		}
		heard = true
		st, res := s.answer(c)
		statuses, results = append(statuses, st...), append(results, res...)
	}
	if !heard {
		return nil
	}
	return append(statuses, results...)
}

// headerStatus accepts the server's SyncHdr.
func (s *session) headerStatus() []*element {
	if s.pc.opts.Habits.OmitHeaderStatus {
		return nil
	}
	return []*element{s.status(command{verb: "SyncHdr", id: "0"}, nil, outcome{code: statusOK})}
}

// outcome is how a command ended on one item.
type outcome struct {
	code     int
	original string // HRESULT
	silent   bool
	result   Node
}

func (s *session) status(c command, target *element, o outcome) *element {
	data := tag("Data", strconv.Itoa(o.code))
	if o.original != "" && s.pc.applicationVersion() >= 3 {
		data.attrs = []xml.Attr{attr("xmlns:msft", nsError), attr("msft:originalerror", o.original)}
	}
	return tag("Status", tag("MsgRef", strconv.Itoa(s.msgID)), tag("CmdRef", c.id), tag("Cmd", c.verb), target, data)
}

// answer runs one command and returns its statuses and results.
func (s *session) answer(c command) (statuses, results []*element) {
	switch c.verb {
	case "Atomic":
		return s.atomic(c), nil
	case "Sequence":
		statuses = []*element{s.status(c, nil, outcome{code: statusOK})}
		for _, inner := range c.inner {
			st, res := s.answer(inner)
			statuses, results = append(statuses, st...), append(results, res...)
		}
		return statuses, results
	}
	for _, i := range c.items {
		o := s.apply(c.verb, i)
		if !o.silent {
			var target *element
			if len(c.items) > 1 {
				target = tag("TargetRef", i.locURI)
			}
			statuses = append(statuses, s.status(c, target, o))
		}
		if c.verb == "Get" && o.code == statusOK && !o.silent {
			results = append(results, s.result(c, i, o.result))
		}
	}
	return statuses, results
}

func (s *session) result(c command, i item, n Node) *element {
	var msgRef *element
	if s.msgID != 1 || !s.pc.opts.Habits.OmitMsgRef {
		msgRef = tag("MsgRef", strconv.Itoa(s.msgID))
	}
	return tag("Results", msgRef, tag("CmdRef", c.id),
		tag("Item", tag("Source", tag("LocURI", i.locURI)), meta(n.Format, n.Type), tag("Data", n.Data)))
}

// apply runs a verb on an item, unless the script decides otherwise.
func (s *session) apply(verb string, i item) outcome {
	path := canonical(i.locURI)
	o := outcome{}
	rule := s.pc.script.take(verb, path)
	if rule != nil && rule.Code != 0 {
		o.code, o.original = rule.Code, rule.OriginalError
	} else {
		o.code, o.result = s.pc.tree.do(verb, i.locURI, i.node, s.opts.Login)
		if verb == "Exec" && o.code == statusOK {
			o.code = s.execute(path, i.node)
		}
	}
	if rule != nil {
		o.silent = rule.Code == 0
		s.crashed = s.crashed || rule.Crash
	}
	s.record(verb, i.locURI, o.code)
	return o
}

func (s *session) record(verb, locURI string, code int) {
	a := CommandAnswer{Verb: verb, LocURI: locURI, Code: code}
	s.report.Commands = append(s.report.Commands, a)
	s.pc.answers = append(s.pc.answers, a)
	s.events = append(s.events, devicesim.Event{
		Serial: s.pc.opts.SerialNumber, Kind: EventCommand, Detail: fmt.Sprintf("%s %s: %d", verb, locURI, code),
	})
}

// atomic runs all or nothing (MS-MDM section 2.2.7.3): what was done before a failure is rolled back, what comes after it is not run.
func (s *session) atomic(c command) []*element {
	before, consequences := s.pc.tree.clone(), len(s.consequences)
	failed := -1
	outcomes := make([][]outcome, len(c.inner))
	for n, inner := range c.inner {
		if failed >= 0 {
			outcomes[n] = []outcome{{code: statusNotExecuted}}
			continue
		}
		outcomes[n] = s.within(inner, c.inner[:n])
		if slices.ContainsFunc(outcomes[n], func(o outcome) bool { return o.code != statusOK }) {
			failed = n
		}
	}
	whole := outcome{code: statusOK}
	if failed >= 0 {
		s.pc.tree, s.consequences = before, s.consequences[:consequences]
		whole.code = statusAtomicFailed
	}
	statuses := []*element{s.status(c, nil, whole)}
	for n, inner := range c.inner {
		for _, o := range outcomes[n] {
			if n < failed {
				o.code = statusRolledBack
			}
			if !o.silent {
				statuses = append(statuses, s.status(inner, nil, o))
			}
		}
	}
	return statuses
}

// within runs a command of an Atomic, which may neither ask nor nest nor touch a node twice with different verbs.
func (s *session) within(c command, before []command) []outcome {
	if c.verb != "Add" && c.verb != "Replace" && c.verb != "Delete" && c.verb != "Exec" {
		return []outcome{{code: statusFailed}}
	}
	var outcomes []outcome
	for _, i := range c.items {
		o := outcome{code: statusFailed}
		if !touched(before, c.verb, i) {
			o = s.apply(c.verb, i)
		}
		outcomes = append(outcomes, o)
	}
	return outcomes
}

func touched(before []command, verb string, by item) bool {
	return slices.ContainsFunc(before, func(c command) bool {
		return c.verb != verb && c.verb != "Exec" && verb != "Exec" &&
			slices.ContainsFunc(c.items, func(i item) bool { return canonical(i.locURI) == canonical(by.locURI) })
	})
}

// execute is what Exec sets off. Most of it happens when the server has heard the status.
func (s *session) execute(path string, n Node) int {
	pc := s.pc
	switch {
	case path == s.e.dmClient("Unenroll"):
		if n.Data != s.e.provisioning.ProviderID {
			return statusBadRequest
		}
		s.consequences = append(s.consequences, func() { pc.forget(devicesim.EventUnmanaged, "") })
	case path == "Vendor/MSFT/Reboot/RebootNow":
		s.consequences = append(s.consequences, pc.restart)
	case strings.HasPrefix(path, "Vendor/MSFT/RemoteWipe/"):
		s.consequences = append(s.consequences, func() { pc.wipe(path) })
	case strings.HasPrefix(path, msi):
		return pc.tree.install(path, n)
	}
	return statusOK
}

func (pc *PC) restart() {
	pc.mu.Lock()
	pc.restarts++
	pc.mu.Unlock()
	pc.event(devicesim.EventRestarted, "")
}

func (pc *PC) wipe(path string) {
	pc.mu.Lock()
	pc.wiped = path[strings.LastIndex(path, "/")+1:]
	pc.mu.Unlock()
	pc.forget(devicesim.EventErased, "")
}
