package ade

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// MaxChunk is how many devices one call may name.
const MaxChunk = 1000

// Result is what became of one device in a call.
type Result string

// What becomes of a device.
const (
	Success Result = "Success"
	// NotAccessible: the device is not (or no more) assigned to this MDM server.
	NotAccessible Result = "NotAccessible"
	// Failed: Apple failed, or said nothing of the device. Try again.
	Failed Result = "Failed"
	// Deferred: Apple takes no more assignments of this device for now. The call's error says how long to wait.
	Deferred Result = "Deferred"
)

var results = map[text]Result{"SUCCESS": Success, "NOT_ACCESSIBLE": NotAccessible, "THROTTLED": Deferred}

// Assign assigns a profile to devices, at most MaxChunk. The map has every serial number that was given. If some are Deferred the map comes with a
// *Failure of the kind Throttled.
func (c *Client) Assign(ctx context.Context, uuid string, serials []string) (map[string]Result, error) {
	// Apple documents POST; PUT is what nanodep and others send, and what Apple's simulator wants.
	return c.devices(ctx, "assigning a profile", http.MethodPut, "/profile/devices", uuid, serials)
}

// Remove takes whatever profile they have off devices, at most MaxChunk. The map has every serial number that was given.
func (c *Client) Remove(ctx context.Context, serials []string) (map[string]Result, error) {
	return c.devices(ctx, "removing profiles", http.MethodDelete, "/profile/devices", "", serials)
}

// Disown takes devices, at most MaxChunk, out of the organisation for good: nobody there can undo it. The map has every serial number that was given.
func (c *Client) Disown(ctx context.Context, serials []string) (map[string]Result, error) {
	return c.devices(ctx, "disowning devices", http.MethodPost, pathDisown, "", serials)
}

const pathDisown = "/devices/disown"

func (c *Client) devices(ctx context.Context, what, method, path, uuid string, serials []string) (map[string]Result, error) {
	serials = slices.Compact(slices.Sorted(slices.Values(serials)))
	switch {
	case len(serials) > MaxChunk:
		return nil, fmt.Errorf("%s: a call names at most %d devices, not %d", what, MaxChunk, len(serials))
	case len(serials) == 0:
		return map[string]Result{}, nil
	}
	in := struct {
		Profile string   `json:"profile_uuid,omitempty"`
		Devices []string `json:"devices"`
	}{uuid, serials}
	var out struct {
		Devices    map[string]text `json:"devices"`
		RetryAfter text            `json:"retry_after_seconds"`
	}
	if err := c.call(ctx, what, method, path, in, &out); err != nil {
		return nil, err
	}
	all, deferred := make(map[string]Result, len(serials)), 0
	for _, serial := range serials {
		all[serial] = Failed
		if result, known := results[out.Devices[serial]]; known {
			all[serial] = result
		}
		if all[serial] == Deferred {
			deferred++
		}
	}
	if deferred == 0 {
		return all, nil
	}
	seconds, err := strconv.ParseFloat(string(out.RetryAfter), 64)
	if err != nil {
		seconds = 0 // Apple does not say
	}
	return all, &Failure{
		Kind: Throttled, Status: http.StatusOK, Code: "THROTTLED",
		RetryAfter: bounded(time.Duration(min(seconds, maxWait.Seconds()) * float64(time.Second))),
		Message: fmt.Sprintf("%s: Apple defers %d of %d devices, which had too many assignments of late; they are tried again",
			what, deferred, len(serials)),
	}
}
