package adminapi

import (
	"context"
	"net/http"
)

// PathAutomated lists AutomatedStatus pages; PathAutomated/{namespace}/{name} takes PUT of Automated and DELETE.
const PathAutomated = "/v1/automated"

// MaxAutomatedDevices bounds the devices of one Automated: so many fit into MaxBody.
const MaxAutomatedDevices = 200_000

// Automated is an AutomatedEnrollment as the server knows it: the organisation's devices that may enrol with nothing but their own signature, and
// what is to be known of the setup-assistant profile that Apple gives to each.
type Automated struct {
	Key Key `json:"key"`
	// Digest names the whole content; the manager chooses it.
	Digest   string             `json:"digest"`
	Profiles []AutomatedProfile `json:"profiles,omitempty"`
	// Devices maps serial numbers to names in Profiles; an empty name is a device that the organisation has and that got no profile of this object.
	// Only these serial numbers may enrol. A serial number belongs to one Automated of a server, the one that was PUT last with it.
	Devices map[string]string `json:"devices,omitempty"`
}

// AutomatedProfile is what the server has to know of a setup-assistant profile.
type AutomatedProfile struct {
	Name string `json:"name"`
	// SignIn refuses a device whose user did not sign in.
	SignIn bool `json:"signIn,omitempty"`
	// AwaitConfiguration keeps a device in Setup Assistant until it has what is assigned to it.
	AwaitConfiguration bool `json:"awaitConfiguration,omitempty"`
	// MinimumOS is the oldest version that may enrol, by the family of the device: Mac, iPhone, iPad, iPod, AppleTV, RealityDevice or Watch.
	MinimumOS map[string]OSVersion `json:"minimumOS,omitempty"`
}

// OSVersion is a version of an operating system, such as 15.4.1, and the build that a device is to install.
type OSVersion struct {
	Version string `json:"version"`
	Build   string `json:"build,omitempty"`
}

// AutomatedStatus says what a server has of an Automated. Devices are fewer than were PUT when another one took some over.
type AutomatedStatus struct {
	Key     Key    `json:"key"`
	Digest  string `json:"digest"`
	Devices int    `json:"devices"`
}

// PutAutomated stores an automated enrolment whole: devices that it does not name any more cannot enrol with it.
func (c *Client) PutAutomated(ctx context.Context, a Automated) (*AutomatedStatus, error) {
	return call[AutomatedStatus](ctx, c, http.MethodPut, keyPath(PathAutomated, a.Key), nil, a)
}

// DeleteAutomated forgets an automated enrolment; what it enrolled stays enrolled. An unknown one is no error.
func (c *Client) DeleteAutomated(ctx context.Context, key Key) error {
	return c.do(ctx, http.MethodDelete, keyPath(PathAutomated, key), nil, nil, nil)
}

// Automated lists a page of what the server has of automated enrolments.
func (c *Client) Automated(ctx context.Context, after string, limit int) (*Page[AutomatedStatus], error) {
	return call[Page[AutomatedStatus]](ctx, c, http.MethodGet, PathAutomated, pageQuery(after, limit), nil)
}
