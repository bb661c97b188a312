package devicesim

import (
	"errors"
	"slices"
	"sync"
)

// Behaviour is what a device does with a command.
type Behaviour int

// The behaviours.
const (
	// Obey runs the command and answers it.
	Obey Behaviour = iota
	// AnswerNotNow does not run the command and answers NotNow: the server is to offer it again after the next Idle.
	AnswerNotNow
	// AnswerError does not run it and answers Error, which is final.
	AnswerError
	// AnswerFormatError does not run it and answers CommandFormatError.
	AnswerFormatError
	// AnswerTwice runs it and sends the answer twice, as after a reply that came too late. What the first reply held is lost.
	AnswerTwice
	// MissReply runs it and answers, but loses the connection before the reply, and with it the next command.
	MissReply
	// Crash runs it and is gone before it answers: a restart that is faster than its answer, a panic, an empty battery.
	Crash
	// Ignore neither runs nor answers it.
	Ignore
)

// ErrInterrupted ends a connection that a Rule broke off.
var ErrInterrupted = errors.New("the script broke the connection off")

// Rule scripts what a device does with the commands that match.
type Rule struct {
	// RequestType of the command; empty matches all.
	RequestType string
	// Identifier is the PayloadIdentifier of an InstallProfile or RemoveProfile; empty matches all.
	Identifier string
	// Times is how often the rule holds; 0 is always.
	Times int
	Do    Behaviour
}

type script struct {
	mu    sync.Mutex
	rules []*Rule
}

func (s *script) add(rules []Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rule := range rules {
		s.rules = append(s.rules, &rule)
	}
}

func (s *script) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// take returns what the first rule that matches says and uses it up once.
func (s *script) take(requestType, identifier string) Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, rule := range s.rules {
		if rule.RequestType != "" && rule.RequestType != requestType || rule.Identifier != "" && rule.Identifier != identifier {
			continue
		}
		if rule.Times == 1 {
			s.rules = slices.Delete(s.rules, i, i+1)
		}
		rule.Times--
		return rule.Do
	}
	return Obey
}
