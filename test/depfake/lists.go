package depfake

import (
	"net/http"
	"time"
)

// cursor is where a list goes on. A list of all devices that ended goes on as a list of changes since it began, so that nothing is lost that
// happens meanwhile.
type cursor struct {
	made time.Time
	// at counts the events that the client has heard of.
	at int
	// fetching is true within a list of all devices, which began when there were `began` events.
	fetching bool
	began    int
	forced   string // the error that it is answered with
}

type listRequest struct {
	Cursor *string `json:"cursor"`
	Limit  *int    `json:"limit"`
}

type listResponse struct {
	Cursor       string    `json:"cursor"`
	Devices      []wire    `json:"devices"`
	FetchedUntil time.Time `json:"fetched_until"`
	MoreToFollow bool      `json:"more_to_follow"`
}

// ExpireCursors makes all cursors that were given out older than a week.
func (f *Fake) ExpireCursors() { f.force("EXPIRED_CURSOR") }

// ExhaustCursors makes all cursors that were given out ones that returned everything.
func (f *Fake) ExhaustCursors() { f.force("EXHAUSTED_CURSOR") }

// ForgetCursors makes all cursors that were given out invalid.
func (f *Fake) ForgetCursors() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.cursors)
}

func (f *Fake) force(code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.cursors {
		c.forced = code
	}
}

// fetch answers POST /server/devices.
func (f *Fake) fetch(_ *http.Request, body []byte) *reply {
	c, limit, refusal := f.readList(body)
	switch {
	case refusal != nil:
		return refusal
	case c == nil:
		c = &cursor{fetching: true, began: len(f.events)}
	case !c.fetching:
		return bad("EXHAUSTED_CURSOR")
	}
	rest := f.inOrder(c.at)
	more := len(rest) > limit
	if more {
		rest = rest[:limit]
	}
	next := cursor{at: c.began}
	page := make([]wire, len(rest))
	for i, l := range rest {
		page[i] = wire{Device: l.Device}
		if more {
			next = cursor{at: l.at, fetching: true, began: c.began}
		}
	}
	return f.page(next, page, more)
}

// sync answers POST /devices/sync.
func (f *Fake) sync(_ *http.Request, body []byte) *reply {
	c, limit, refusal := f.readList(body)
	switch {
	case refusal != nil:
		return refusal
	case c == nil:
		return bad("CURSOR_REQUIRED")
	case c.fetching:
		return bad("INVALID_CURSOR")
	}
	rest := f.events[c.at:]
	more := len(rest) > limit
	if more {
		rest = rest[:limit]
	}
	page := make([]wire, len(rest))
	for i, e := range rest {
		page[i] = wire{Device: e.device, Op: e.op, OpAt: e.date}
	}
	return f.page(cursor{at: c.at + len(rest)}, page, more)
}

func (f *Fake) page(next cursor, devices []wire, more bool) *reply {
	next.made = f.options.Now()
	id := hexText(24)
	f.cursors[id] = &next
	return ok(listResponse{Cursor: id, Devices: devices, FetchedUntil: next.made.UTC().Truncate(time.Second), MoreToFollow: more})
}

// readList returns no cursor where the client has none.
func (f *Fake) readList(body []byte) (*cursor, int, *reply) {
	request, limit := listRequest{}, MinLimit
	if refusal := decode(body, &request); refusal != nil {
		return nil, 0, refusal
	}
	if request.Limit != nil {
		limit = *request.Limit
	}
	if limit < MinLimit || limit > MaxLimit {
		return nil, 0, bad("LIMIT_INVALID")
	}
	if f.options.PageSize > 0 {
		limit = min(limit, f.options.PageSize)
	}
	if request.Cursor == nil || *request.Cursor == "" {
		return nil, limit, nil
	}
	c := f.cursors[*request.Cursor]
	switch {
	case c == nil:
		return nil, 0, bad("INVALID_CURSOR")
	case c.forced != "":
		return nil, 0, bad(c.forced)
	case f.options.Now().Sub(c.made) > CursorLife:
		return nil, 0, bad("EXPIRED_CURSOR")
	}
	return c, limit, nil
}

// details answers POST /devices.
func (f *Fake) details(_ *http.Request, body []byte) *reply {
	var request struct {
		Devices []string `json:"devices"`
	}
	if refusal := decode(body, &request); refusal != nil {
		return refusal
	}
	if refusal := checkSerials(request.Devices); refusal != nil {
		return refusal
	}
	found := map[string]wire{}
	for _, serial := range request.Devices {
		if l := f.devices[serial]; l != nil {
			found[serial] = wire{Device: l.Device, Status: success}
		} else {
			found[serial] = wire{Device: Device{SerialNumber: serial}, Status: notAccessible}
		}
	}
	return ok(map[string]any{"devices": found})
}

// account answers GET /account.
func (f *Fake) account(r *http.Request, _ []byte) *reply {
	s := f.sessions[r.Header.Get(sessionHeader)].server
	return ok(map[string]string{
		"server_name": s.name, "server_uuid": s.uuid, "admin_id": "admin@example.com", "facilitator_id": "admin@example.com",
		"org_name": f.options.Organization, "org_id": "2066341", "org_id_hash": "8d5b74cac41c45a0f22b7a353bdb27b7cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
		"org_email": "it@example.com", "org_phone": "+1 555 0100", "org_address": "1 Example Street, Example", "org_type": "org", "org_version": "v2",
	})
}
