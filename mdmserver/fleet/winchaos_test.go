package fleet_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// chaos is a PC that refuses with any status or gives none, loses replies, repeats messages and breaks sessions off, while an administrator edits at
// random and its settings drift.
type chaos struct {
	*pc
	rand *rand.Rand
	// wants is what the administrator last put into each profile, edits counts what was done.
	wants map[adminapi.Key]map[string]string
	has   []adminapi.Key
	edits int
}

func (c *chaos) one(in int) bool { return c.rand.IntN(in) == 0 }

// edit changes a profile, an assignment, or orders something.
func (c *chaos) edit() {
	c.edits++
	key := []adminapi.Key{"ns/p0", "ns/p1", "ns/p2", "ns/user"}[c.rand.IntN(4)]
	switch c.rand.IntN(4) {
	case 0, 1:
		c.rewrite(key)
	case 2:
		c.has = nil
		for _, k := range slices.Sorted(maps.Keys(c.wants)) {
			if !c.one(3) {
				c.has = append(c.has, k)
			}
		}
		c.assign(c.has...)
	case 3:
		c.run(adminapi.Key(fmt.Sprintf("ns/a%d", c.edits)), adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{
			set("./Device/raw", "int", strconv.Itoa(c.edits)), {Verb: adminapi.VerbGet, LocURI: "./Device/raw"},
		}})
	}
}

// rewrite gives a profile other settings; some are shared with other profiles, with the same value.
func (c *chaos) rewrite(key adminapi.Key) {
	root := "./Device/"
	if key == "ns/user" {
		root = "./User/"
	}
	wants := map[string]string{root + "ns/shared": "1"}
	inside := []adminapi.SyncMLCommand{set(root+"ns/shared", "int", "1")}
	for range 1 + c.rand.IntN(4) {
		uri := fmt.Sprintf("%s%s/%d", root, key, c.rand.IntN(6))
		if _, twice := wants[uri]; !twice {
			wants[uri] = strconv.Itoa(c.rand.IntN(1000))
			inside = append(inside, set(uri, "int", wants[uri]))
		}
	}
	commands := inside
	switch c.rand.IntN(3) {
	case 0:
		commands = []adminapi.SyncMLCommand{inAtomic(inside...)}
	case 1:
		commands = []adminapi.SyncMLCommand{inSequence(inside[1:]...), inside[0]}
	}
	a := windowsArtifact(c.t, key, fmt.Sprint("v", c.edits, key), commands...)
	if a.Scope = adminapi.ScopeSystem; key == "ns/user" {
		a.Scope = adminapi.ScopeUser
	}
	_, err := c.PutArtifact(c.ctx, a)
	c.must(err)
	c.wants[key] = wants
}

// refusal is the answer to a command that is not carried out. What Windows will not delete stays for good, so that is left out.
func (c *chaos) refusal(command adminapi.SyncMLCommand) int {
	codes := []int{214, 215, 500, 507, 400, 404, 405, 418, 425}
	if command.Verb == adminapi.VerbDelete {
		codes = codes[:4]
	}
	if c.one(8) {
		return codes[c.rand.IntN(len(codes))]
	}
	return 0
}

// talk runs a session in which anything may happen.
func (c *chaos) talk() {
	for _, uri := range slices.Sorted(maps.Keys(c.nodes)) {
		if strings.Contains(uri, "/ns/") && c.one(20) {
			c.nodes[uri] = "drifted"
		}
	}
	c.login = []string{"", "user", "others", "none"}[c.rand.IntN(4)]
	m := c.first()
	for range 40 {
		orders := c.say(m)
		if c.one(4) {
			orders = c.say(m) // the reply was lost
		}
		if c.one(8) {
			c.edit()
		}
		if len(orders) == 0 || c.one(10) {
			return
		}
		m = c.answer(orders)
		if c.one(6) {
			m.Statuses = m.Statuses[:c.rand.IntN(len(m.Statuses)+1)]
		}
		if c.one(6) {
			m.Results = nil
		}
		if c.one(6) {
			m = c.split(m)
		}
		m.Aborted = c.one(20)
	}
}

// split sends the first part of a message on its own.
func (c *chaos) split(m fleet.WindowsMessage) fleet.WindowsMessage {
	part, n := m, c.rand.IntN(len(m.Statuses)+1)
	part.More, part.Statuses = true, m.Statuses[:n]
	if got := c.say(part); len(got) > 0 {
		c.t.Fatalf("a message that goes on got %+v", got)
	}
	c.msg++
	m.MsgID, m.Statuses, m.Results = strconv.Itoa(c.msg), m.Statuses[n:], nil
	return m
}

func TestPCThatWasChaoticEndsAsItShould(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			w := newWorld(t)
			c := &chaos{pc: w.newPC("A"), rand: rand.New(rand.NewPCG(seed, 1)), wants: map[adminapi.Key]map[string]string{}}
			c.mood = c.refusal
			for range 25 {
				c.edit()
				c.talk()
				w.clock.advance(time.Duration(c.rand.IntN(600)) * time.Minute)
			}
			c.mood, c.login = nil, "user"
			for _, key := range slices.Sorted(maps.Keys(c.wants)) { // what was refused is final until it is edited
				c.edits++
				c.rewrite(key)
			}
			for range 4 {
				w.clock.advance(25 * time.Hour)
				c.sync()
			}
			c.wantNothingLeft()
		})
	}
}

// wantNothingLeft checks that the device has what it should have and nothing else, and that nothing is under way.
func (c *chaos) wantNothingLeft() {
	c.t.Helper()
	want := map[string]string{}
	for _, key := range c.has {
		c.wantCounts(key, 1, 0)
		for uri, value := range c.wants[key] {
			want[uri] = value
		}
	}
	for uri, value := range want {
		c.wantNode(uri, value)
	}
	for uri := range c.nodes {
		if _, wanted := want[uri]; !wanted && strings.Contains(uri, "/ns/") {
			c.t.Errorf("%s is still there", uri)
		}
	}
	for key := range c.wants {
		if a := c.artifact(key); a.Pending+a.NotNow+a.Removing != 0 {
			c.t.Errorf("artifact = %+v", a)
		}
	}
	actions, err := c.ListActions(c.ctx, "", 0)
	c.must(err)
	for _, a := range actions.Items {
		if a.FinishedAt.IsZero() {
			c.t.Errorf("action = %+v", a)
		}
	}
	if got := c.sync(); len(got) > 0 {
		c.t.Errorf("there is something left to do: %v", got)
	}
}
