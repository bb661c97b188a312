package storetest

import (
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func (s *suite) leases() {
	take := func(name, holder string, at time.Duration, want bool) {
		s.Helper()
		s.update(func(tx fleet.Tx) {
			if got := get[bool](s)(tx.Lease(name, holder, now.Add(at), now.Add(at+time.Minute))); got != want {
				s.Errorf("%s takes %s after %v: %v, want %v", holder, name, at, got, want)
			}
		})
	}
	take("sweep", "a", 0, true)
	take("sweep", "b", time.Second, false)
	take("prune", "b", time.Second, true)
	take("sweep", "a", 30*time.Second, true)
	take("sweep", "b", 89*time.Second, false)
	take("sweep", "b", 90*time.Second, true)
	take("sweep", "a", 91*time.Second, false)
}

// epochs: "<store id>.<random>", the same as long as the store is open.
func (s *suite) epochs() {
	id, random, ok := strings.Cut(s.store.Epoch(), ".")
	if !ok || id == "" || random == "" {
		s.Errorf("the epoch is %q", s.store.Epoch())
	}
	before := s.store.Epoch()
	s.update(func(tx fleet.Tx) { s.must(tx.SetMeta("a", "1")) })
	if s.store.Epoch() != before {
		s.Error("an update changed the epoch")
	}
}

// strangeText is what devices may send: it is stored as far as a medium can hold it, and found by what was asked for.
func (s *suite) strangeText() {
	const strange = "a\x00b\xffc"
	s.update(func(tx fleet.Tx) {
		s.must(tx.PutAgent(fleet.AgentRow{NodeKeyHash: "hash", HardwareUUID: strange, SerialNumber: strange}))
	})
	s.view(func(tx fleet.Tx) {
		if agents := get[[]fleet.AgentRow](s)(tx.AgentsOn(strange)); len(agents) != 1 || !strings.HasPrefix(agents[0].SerialNumber, "a") {
			s.Errorf("agents %+v", agents)
		}
	})
}

// textInOrder: keys are in the order of their bytes, whatever the language of the database is.
func (s *suite) textInOrder() {
	names := []string{"A/b", "Z/a", "a-b/a", "a/a", "a/b", "é/a"}
	s.update(func(tx fleet.Tx) {
		for _, name := range names {
			s.must(tx.PutToken(fleet.TokenRow{Token: adminapi.Token{Key: adminapi.Key(name)}}))
		}
	})
	s.view(func(tx fleet.Tx) {
		key := func(r fleet.TokenRow) string { return string(r.Key) }
		want(s, get[[]fleet.TokenRow](s)(tx.Tokens("", 10)), key, names...)
		want(s, get[[]fleet.TokenRow](s)(tx.Tokens("Z/a", 2)), key, names[2:4]...)
	})
}
