package depfake

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// The states of a device's profile.
const (
	Empty    = "empty"    // none was ever assigned
	Assigned = "assigned" // and not yet fetched by the device
	Pushed   = "pushed"   // the device has it
	Removed  = "removed"
)

// Device is one of the organisation's devices, in Apple's JSON.
type Device struct {
	SerialNumber string    `json:"serial_number"`
	Model        string    `json:"model,omitempty"`
	Description  string    `json:"description,omitempty"`
	Color        string    `json:"color,omitempty"`
	AssetTag     string    `json:"asset_tag,omitempty"`
	Family       string    `json:"device_family,omitempty"`
	OS           string    `json:"os,omitempty"`
	AssignedBy   string    `json:"device_assigned_by,omitempty"`
	AssignedAt   time.Time `json:"device_assigned_date,omitzero"`
	// What follows is the service's own; it is overwritten where a device is added or modified.
	ProfileUUID       string    `json:"profile_uuid,omitempty"`
	ProfileStatus     string    `json:"profile_status,omitempty"`
	ProfileAssignedAt time.Time `json:"profile_assign_time,omitzero"`
	ProfilePushedAt   time.Time `json:"profile_push_time,omitzero"`
}

// wire is a device in an answer.
type wire struct {
	Device
	Op     string    `json:"op_type,omitempty"`
	OpAt   time.Time `json:"op_date,omitzero"`
	Status string    `json:"response_status,omitempty"`
}

// listed is a device that the organisation has; at counts the events before its last one.
type listed struct {
	Device
	at int
}

// event is what a sync tells of.
type event struct {
	device Device
	op     string
	date   time.Time
}

// Add assigns devices to the server, as in the portal. A device that is there already is replaced and counts as modified. What is empty is filled
// with that of a Mac.
func (f *Fake) Add(devices ...Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range devices {
		f.add(d)
	}
}

func (f *Fake) add(d Device) {
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&d.Model, "MacBook Pro 14\"")
	fill(&d.Description, "MBP 14\" SPACE BLACK/12C CPU/16C GPU")
	fill(&d.Color, "SPACE BLACK")
	fill(&d.Family, "Mac")
	fill(&d.OS, "OSX")
	fill(&d.AssignedBy, "admin@example.com")
	if d.AssignedAt.IsZero() {
		d.AssignedAt = f.options.Now()
	}
	d.AssignedAt = d.AssignedAt.UTC().Truncate(time.Second)
	op := "added"
	former := Device{ProfileStatus: Empty}
	if l := f.devices[d.SerialNumber]; l != nil {
		op, former = "modified", l.Device
	}
	keepProfile(&d, former)
	f.record(d, op)
}

func keepProfile(d *Device, former Device) {
	d.ProfileUUID, d.ProfileStatus = former.ProfileUUID, former.ProfileStatus
	d.ProfileAssignedAt, d.ProfilePushedAt = former.ProfileAssignedAt, former.ProfilePushedAt
}

// Modify changes a device that is there, all but its serial number and its profile.
func (f *Fake) Modify(serial string, change func(*Device)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.devices[serial]
	if l == nil {
		return fmt.Errorf("there is no device %s", serial)
	}
	d := l.Device
	change(&d)
	d.SerialNumber = serial
	keepProfile(&d, l.Device)
	f.record(d, "modified")
	return nil
}

// Delete takes devices away from the server: they are released, or assigned to another server. None goes if one is not there.
func (f *Fake) Delete(serials ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, serial := range serials {
		if f.devices[serial] == nil {
			return fmt.Errorf("there is no device %s", serial)
		}
	}
	for _, serial := range serials {
		if l := f.devices[serial]; l != nil { // not named twice
			f.record(l.Device, "deleted")
		}
	}
	return nil
}

// record notes what happened to a device; the lock must be held. Dates are in whole seconds, and of one serial number no two are alike.
func (f *Fake) record(d Device, op string) {
	date := f.options.Now().UTC().Truncate(time.Second)
	if last := f.lastOp[d.SerialNumber]; !date.After(last) {
		date = last.Add(time.Second)
	}
	f.lastOp[d.SerialNumber] = date
	e := event{device: d, op: op, date: date}
	f.events = append(f.events, e)
	if f.once(f.options.Duplicate) {
		f.events = append(f.events, e)
	}
	if op == "deleted" {
		delete(f.devices, d.SerialNumber)
	} else {
		f.devices[d.SerialNumber] = &listed{Device: d, at: len(f.events)}
	}
}

// Repeat tells of all that happened to a serial number once more, with the old dates, after what happened since.
func (f *Fake) Repeat(serial string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range slices.Clone(f.events) {
		if e.device.SerialNumber == serial {
			f.events = append(f.events, e)
		}
	}
}

// Devices returns the truth: what the organisation has, with the profiles that are assigned, by serial number.
func (f *Fake) Devices() map[string]Device {
	f.mu.Lock()
	defer f.mu.Unlock()
	devices := make(map[string]Device, len(f.devices))
	for serial, l := range f.devices {
		devices[serial] = l.Device
	}
	return devices
}

// inOrder returns the devices by the time of what happened last to them; the lock must be held.
func (f *Fake) inOrder(after int) []*listed {
	var rest []*listed
	for l := range maps.Values(f.devices) {
		if l.at > after {
			rest = append(rest, l)
		}
	}
	slices.SortFunc(rest, func(a, b *listed) int { return a.at - b.at })
	return rest
}
