package windows

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
)

// Bounds of the values that come in several messages: one of them, all that are on the way, and how long one may take.
const (
	maxObject  = 4 << 20
	maxObjects = 64 << 20
	objectLife = 10 * time.Minute
)

var errBusy = errors.New("too many devices send large values at once")

// chunks puts values together that come in several messages (OMA DM Protocol 1.2.1, section 7). They are kept in memory: a device whose chunks were
// lost gets no status for them and sends the value again.
type chunks struct {
	now func() time.Time

	mu sync.Mutex
	// open are the values on the way, by enrolment: the protocol allows a device one at a time. size is that of all of them, in bytes.
	open map[string]*object
	size int
}

// object is a value of which some chunks have come.
type object struct {
	session, command, node string
	meta                   wire.Meta
	data                   []byte
	// message brought the last chunk, and before is the length without it: a message may come again. done is true once the value is whole; it
	// is kept for that case only.
	message string
	before  int
	done    bool
	touched time.Time
}

func newChunks(now func() time.Time) *chunks { return &chunks{now: now, open: map[string]*object{}} }

// joined is a message in which each value is whole.
type joined struct {
	told   fleet.WindowsMessage
	goesOn bool
	// statuses are those of commands with a chunk in them, by their place in the message.
	statuses map[int]string
}

// statusOf is what a command of the device is answered; "": nothing.
func (j joined) statusOf(place int, c wire.Command) string {
	if status, ok := j.statuses[place]; ok {
		return status
	}
	switch c.Name {
	case wire.CmdStatus, wire.CmdResults:
		return ""
	case wire.CmdAlert, wire.CmdReplace:
		return wire.StatusOK
	}
	return wire.StatusNotSupported
}

// join takes the chunks out of a message and puts the value in that has its last one there. A repeated message gives the same again. The enrolment is
// the proven one, of which nobody has more than was given: what a message calls itself is not checked yet.
func (c *chunks) join(enrollment string, m *wire.Message) (joined, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rewind(enrollment, m)
	whole := *m
	whole.Commands = slices.Clone(m.Commands)
	j := joined{statuses: map[int]string{}}
	more := false
	for i := range whole.Commands {
		command := &whole.Commands[i]
		var items []wire.Item
		for _, item := range command.Items {
			status, err := c.take(enrollment, m, command.Name, &item)
			if err != nil {
				return joined{}, err
			}
			if status != "" {
				j.statuses[i] = status
			}
			more = more || item.More // also of a chunk that is refused: without its value, the package is not to be concluded from
			if status == "" || status == wire.StatusOK {
				items = append(items, item)
			}
		}
		command.Items = items
	}
	if o := c.open[enrollment]; o != nil && o.message != m.Header.MsgID {
		c.drop(enrollment) // the device gave it up
	}
	j.told, j.goesOn = tell(&whole)
	j.told.More = j.told.More || more
	return j, nil
}

// rewind undoes what an earlier copy of the message did, and drops what its session no longer needs.
func (c *chunks) rewind(enrollment string, m *wire.Message) {
	o := c.open[enrollment]
	if o == nil {
		return
	}
	again := o.message == m.Header.MsgID
	switch {
	case o.session != m.Header.SessionID, again && o.before == 0, !again && o.done:
		c.drop(enrollment)
	case again:
		c.size -= len(o.data) - o.before
		o.data, o.done = o.data[:o.before], false
	}
}

// take keeps an item that is a chunk and makes the last one the whole value. The status is "" for an item that is no chunk.
func (c *chunks) take(enrollment string, m *wire.Message, command string, item *wire.Item) (status string, err error) {
	o := c.open[enrollment]
	if o == nil || o.done || o.command != command || o.node != locURI(*item) {
		if status := beginning(*item); status != wire.StatusChunkAccepted {
			return status, nil
		}
		c.drop(enrollment)
		c.expire()
		o = &object{session: m.Header.SessionID, command: command, node: locURI(*item), meta: item.Meta}
		c.open[enrollment] = o
	}
	if err := c.grow(o, m.Header.MsgID, item.Data); err != nil {
		if len(o.data) == 0 {
			c.drop(enrollment)
		}
		return "", err
	}
	switch size := len(o.data); {
	case size > o.meta.Size, !item.More && size < o.meta.Size:
		c.drop(enrollment)
		return wire.StatusSizeMismatch, nil
	case item.More:
		return wire.StatusChunkAccepted, nil
	}
	o.done = true
	item.Meta, item.Data = o.meta, string(o.data)
	return wire.StatusOK, nil
}

// beginning judges an item that goes on with no value: it is one by itself, or the first chunk of a large one.
func beginning(item wire.Item) (status string) {
	switch {
	case !item.More:
		return ""
	case item.Meta.Size <= 0:
		return wire.StatusSizeRequired
	case item.Meta.Size > maxObject:
		return wire.StatusSizeTooBig
	}
	return wire.StatusChunkAccepted
}

// grow adds a chunk within the bound of all values.
func (c *chunks) grow(o *object, message, chunk string) error {
	if c.size+len(chunk) > maxObjects {
		return errBusy
	}
	if o.message != message {
		o.message, o.before = message, len(o.data)
	}
	o.data = append(o.data, chunk...)
	o.touched = c.now()
	c.size += len(chunk)
	return nil
}

// expire drops what devices began and did not go on with.
func (c *chunks) expire() {
	for enrollment, o := range c.open {
		if c.now().Sub(o.touched) > objectLife {
			c.drop(enrollment)
		}
	}
}

func (c *chunks) drop(enrollment string) {
	if o := c.open[enrollment]; o != nil {
		c.size -= len(o.data)
		delete(c.open, enrollment)
	}
}
