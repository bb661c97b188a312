package ade

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// PageSize is how many devices a page has at most.
const PageSize = 1000

// Op is what happened to a device, in a sync.
type Op string

// What happens to devices.
const (
	Added    Op = "added"
	Modified Op = "modified"
	Deleted  Op = "deleted"
)

// Device is a device of the organisation that is assigned to this MDM server, as Apple lists it.
type Device struct {
	SerialNumber, Model, Description, Color, AssetTag string
	// Family is iPad, iPhone, iPod, Mac, AppleTV or Vision.
	Family string
	// OS is iOS, iPadOS, OSX, tvOS or visionOS.
	OS string
	// ProfileUUID is the assigned profile's; empty without one.
	ProfileUUID string
	// ProfileStatus is empty, assigned, pushed or removed.
	ProfileStatus string
	// AssignedBy is the account of the person who assigned the device to this MDM server, and AssignedAt when that was.
	AssignedBy string
	AssignedAt time.Time
	// Op and OpAt are set in a sync only. A sync may tell of one device more than once; its devices are sorted by OpAt.
	Op   Op
	OpAt time.Time
}

// Page is one part of a list of devices.
type Page struct {
	Devices []Device
	// Cursor is for the next page, or, without More, for the next sync.
	Cursor string
	More   bool
}

type deviceJSON struct {
	SerialNumber  text `json:"serial_number"`
	Model         text `json:"model"`
	Description   text `json:"description"`
	Color         text `json:"color"`
	AssetTag      text `json:"asset_tag"`
	Family        text `json:"device_family"`
	OS            text `json:"os"`
	ProfileUUID   text `json:"profile_uuid"`
	ProfileStatus text `json:"profile_status"`
	AssignedBy    text `json:"device_assigned_by"`
	AssignedAt    text `json:"device_assigned_date"`
	Op            text `json:"op_type"`
	OpAt          text `json:"op_date"`
}

func (d deviceJSON) device() Device {
	return Device{
		SerialNumber: string(d.SerialNumber), Model: string(d.Model), Description: string(d.Description), Color: string(d.Color),
		AssetTag: string(d.AssetTag), Family: string(d.Family), OS: string(d.OS),
		ProfileUUID: string(d.ProfileUUID), ProfileStatus: string(d.ProfileStatus),
		AssignedBy: string(d.AssignedBy), AssignedAt: parseTime(string(d.AssignedAt)),
		Op: Op(strings.ToLower(string(d.Op))), OpAt: parseTime(string(d.OpAt)),
	}
}

// Fetch returns one page of all devices. The empty cursor begins.
func (c *Client) Fetch(ctx context.Context, cursor string) (Page, error) {
	return c.page(ctx, "listing the devices", "/server/devices", cursor)
}

// Sync returns one page of what changed since the fetch or sync that the cursor is of.
func (c *Client) Sync(ctx context.Context, cursor string) (Page, error) {
	const what = "asking for changed devices"
	if cursor == "" { // Apple would answer CURSOR_REQUIRED
		return Page{}, &Failure{Kind: CursorInvalid, Message: what + " needs the cursor of a full list: fetch all devices first"}
	}
	return c.page(ctx, what, "/devices/sync", cursor)
}

func (c *Client) page(ctx context.Context, what, path, cursor string) (Page, error) {
	in := struct {
		Cursor string `json:"cursor,omitempty"`
		Limit  int    `json:"limit"`
	}{cursor, PageSize}
	var out struct {
		Devices []deviceJSON `json:"devices"`
		Cursor  text         `json:"cursor"`
		More    bool         `json:"more_to_follow"`
	}
	if err := c.call(ctx, what, http.MethodPost, path, in, &out); err != nil {
		return Page{}, err
	}
	if next := string(out.Cursor); next == "" || out.More && next == cursor {
		const wrong = ": Apple's answer does not say where it goes on; it is asked again later"
		return Page{}, &Failure{Kind: Unavailable, Status: http.StatusOK, Message: what + wrong}
	}
	page := Page{Cursor: string(out.Cursor), More: out.More, Devices: make([]Device, 0, len(out.Devices))}
	for _, d := range out.Devices {
		if d.SerialNumber != "" { // nothing could be done with it
			page.Devices = append(page.Devices, d.device())
		}
	}
	return page, nil
}
