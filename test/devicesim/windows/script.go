package windows

import (
	"errors"
	"slices"
	"sync"
)

// ErrInterrupted ends a session that a Rule broke off.
var ErrInterrupted = errors.New("the script broke the session off")

// Rule scripts what a PC does with the commands that match: it answers Code without running them, unless Crash is set.
type Rule struct {
	// Verb and LocURI of the command; empty matches all. LocURI may be written with or without "./Device".
	Verb, LocURI string
	// Times is how often the rule holds; 0 is always.
	Times int
	// Code is the status; 0 runs the command but says nothing about it.
	Code int
	// OriginalError is the HRESULT in msft:originalerror, such as "0x86000011".
	OriginalError string
	// Crash runs the command and is gone before anything is answered.
	Crash bool
}

type script struct {
	mu    sync.Mutex
	rules []*Rule
}

func (s *script) add(rules []Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rule := range rules {
		rule.LocURI = canonical(rule.LocURI)
		s.rules = append(s.rules, &rule)
	}
}

// take returns the first rule that matches and uses it up once; nil without one.
func (s *script) take(verb, path string) *Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, rule := range s.rules {
		if rule.Verb != "" && rule.Verb != verb || rule.LocURI != "" && rule.LocURI != path {
			continue
		}
		if rule.Times == 1 {
			s.rules = slices.Delete(s.rules, i, i+1)
		}
		rule.Times--
		return rule
	}
	return nil
}
