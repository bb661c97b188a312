package depfake

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// What a serial number is answered.
const (
	success       = "SUCCESS"
	notAccessible = "NOT_ACCESSIBLE"
	// Failed and Throttled are for SetOutcome.
	Failed    = "FAILED"
	Throttled = "THROTTLED"
)

// Call is one request about serial numbers that was carried out, whatever became of each.
type Call struct {
	// Operation is assign, remove or disown.
	Operation string   `json:"operation"`
	UUID      string   `json:"profile_uuid,omitempty"`
	Serials   []string `json:"serials"`
}

// Assignments returns the assignments of profiles, the oldest first. Devices that come with a new profile are one.
func (f *Fake) Assignments() []Call { return f.callsOf("assign") }

// Removals returns the removals of profiles.
func (f *Fake) Removals() []Call { return f.callsOf("remove") }

// Disowned returns what was disowned.
func (f *Fake) Disowned() []Call { return f.callsOf("disown") }

func (f *Fake) callsOf(operation string) []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []Call
	for _, c := range f.calls {
		if c.Operation == operation {
			calls = append(calls, c)
		}
	}
	return calls
}

// Profiles returns the profiles that were defined, without their identifiers and devices, by UUID.
func (f *Fake) Profiles() map[string]json.RawMessage {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.profiles)
}

// ForgetProfile deletes a profile, as Apple does not; devices keep its identifier.
func (f *Fake) ForgetProfile(uuid string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.profiles, uuid)
}

// ErrNotListed says that a serial number is not the organisation's.
var ErrNotListed = errors.New("the device is not the organisation's")

// Activate is a device that starts its setup: it is given the profile that is assigned to it, nothing if there is none, or ErrNotListed.
func (f *Fake) Activate(serial string) (json.RawMessage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.devices[serial]
	if l == nil {
		return nil, ErrNotListed
	}
	profile := f.profiles[l.ProfileUUID]
	if profile != nil && l.ProfileStatus == Assigned {
		d := l.Device
		d.ProfileStatus, d.ProfilePushedAt = Pushed, f.options.Now().UTC().Truncate(time.Second)
		f.record(d, "modified")
	}
	return profile, nil
}

// define answers POST /profile.
func (f *Fake) define(r *http.Request, body []byte) *reply {
	p := profile{}
	if refusal := decode(body, &p); refusal != nil {
		return refusal
	}
	if code := p.check(); code != "" {
		return bad(code)
	}
	devices := p.Devices
	if len(devices) > MaxSerials {
		return bad("DEVICE_LIMIT_EXCEEDED")
	}
	p.Devices = nil
	stored, err := json.Marshal(p)
	if err != nil {
		return bad("MALFORMED_REQUEST_BODY")
	}
	uuid := newUUID()
	f.profiles[uuid] = stored
	results := map[string]string{}
	if len(devices) > 0 {
		results = f.each(r, Call{"assign", uuid, devices}, func(d *Device) { f.give(d, uuid) })
	}
	return ok(map[string]any{"profile_uuid": uuid, "devices": results})
}

// profile answers GET /profile.
func (f *Fake) profile(r *http.Request, _ []byte) *reply {
	uuid := r.URL.Query().Get("profile_uuid")
	if uuid == "" {
		return bad("PROFILE_UUID_REQUIRED")
	}
	stored, known := f.profiles[uuid]
	if !known {
		return bad("NOT_FOUND")
	}
	fields := map[string]json.RawMessage{"profile_uuid": json.RawMessage(strconv.Quote(uuid))}
	if err := json.Unmarshal(stored, &fields); err != nil {
		return failure(http.StatusInternalServerError, "INTERNAL_ERROR")
	}
	return ok(fields)
}

type serialsRequest struct {
	UUID    string   `json:"profile_uuid"`
	Devices []string `json:"devices"`
}

// assign answers POST and PUT /profile/devices.
func (f *Fake) assign(r *http.Request, body []byte) *reply {
	request := serialsRequest{}
	if refusal := decode(body, &request); refusal != nil {
		return refusal
	}
	if request.UUID == "" {
		return bad("PROFILE_UUID_REQUIRED")
	}
	if refusal := checkSerials(request.Devices); refusal != nil {
		return refusal
	}
	if f.profiles[request.UUID] == nil {
		return failure(http.StatusNotFound, "NOT_FOUND")
	}
	results := f.each(r, Call{"assign", request.UUID, request.Devices}, func(d *Device) { f.give(d, request.UUID) })
	return f.results(r, map[string]any{"profile_uuid": request.UUID, "devices": results}, results)
}

// give assigns a profile, also one that the device has: it is to fetch it anew.
func (f *Fake) give(d *Device, uuid string) {
	d.ProfileUUID, d.ProfileStatus = uuid, Assigned
	d.ProfileAssignedAt, d.ProfilePushedAt = f.options.Now().UTC().Truncate(time.Second), time.Time{}
	f.record(*d, "modified")
}

// remove answers DELETE /profile/devices.
func (f *Fake) remove(r *http.Request, body []byte) *reply {
	request := serialsRequest{}
	if refusal := decode(body, &request); refusal != nil {
		return refusal
	}
	if refusal := checkSerials(request.Devices); refusal != nil {
		return refusal
	}
	results := f.each(r, Call{"remove", request.UUID, request.Devices}, func(d *Device) {
		if d.ProfileUUID == "" {
			return
		}
		keepProfile(d, Device{ProfileStatus: Removed})
		f.record(*d, "modified")
	})
	return f.results(r, map[string]any{"devices": results}, results)
}

// disown answers POST /devices/disown.
func (f *Fake) disown(r *http.Request, body []byte) *reply {
	var request struct {
		Devices []string `json:"devices"`
	}
	if refusal := decode(body, &request); refusal != nil {
		return refusal
	}
	if refusal := checkSerials(request.Devices); refusal != nil {
		return refusal
	}
	results := f.each(r, Call{Operation: "disown", Serials: request.Devices}, func(d *Device) { f.record(*d, "deleted") })
	return ok(map[string]any{"devices": results})
}

func checkSerials(serials []string) *reply {
	switch {
	case len(serials) == 0:
		return bad("DEVICE_ID_REQUIRED")
	case len(serials) > MaxSerials:
		return bad("DEVICE_LIMIT_EXCEEDED")
	}
	return nil
}

// each does the work to a copy of each device that is there, and notes the call.
func (f *Fake) each(r *http.Request, c Call, work func(*Device)) map[string]string {
	c.Serials = slices.Clone(c.Serials)
	f.calls = append(f.calls, c)
	results := map[string]string{}
	for _, serial := range c.Serials {
		l, outcome := f.devices[serial], f.outcomes[serial]
		switch {
		case results[serial] != "": // named twice
		case l == nil:
			results[serial] = notAccessible
		case outcome == Throttled && protocol(r) < 9:
			results[serial] = Failed
		case outcome != "":
			results[serial] = outcome
		default:
			d := l.Device
			work(&d)
			results[serial] = success
		}
	}
	return results
}

// results adds when throttled devices may be tried again, to clients that know it.
func (f *Fake) results(r *http.Request, body map[string]any, results map[string]string) *reply {
	if protocol(r) >= 10 && slices.Contains(slices.Collect(maps.Values(results)), Throttled) {
		body["retry_after_seconds"] = int(max(f.throttle.after, time.Minute).Seconds())
	}
	return ok(body)
}

func protocol(r *http.Request) int {
	version, _ := strconv.Atoi(r.Header.Get("X-Server-Protocol-Version")) // checked before
	return version
}
