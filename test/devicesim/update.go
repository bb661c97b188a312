package devicesim

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// OSUpdate is a version that a server wants a device to have before it enrols.
type OSUpdate struct {
	OSVersion string
	// BuildVersion is optional.
	BuildVersion string
}

const (
	codeUpdateRequired = "com.apple.softwareupdate.required"
	// someBuild is what a device installs when the server names no build.
	someBuild = "99Z999"
)

// requiredUpdate is the update that the reply asks for (Apple, "ErrorCodeSoftwareUpdateRequired"), nil when it asks for none.
func (r *httpReply) requiredUpdate() (*OSUpdate, error) {
	mediaType, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	if r.status != http.StatusForbidden || mediaType != "application/json" {
		return nil, nil
	}
	var refusal struct {
		Code                 string `json:"code"`
		Description, Message string
		Details              OSUpdate `json:"details"`
	}
	if err := json.Unmarshal(r.body, &refusal); err != nil {
		return nil, fmt.Errorf("reading why the server refuses: %w", err)
	}
	switch {
	case refusal.Code != codeUpdateRequired:
		return nil, fmt.Errorf("the server refuses with the code %q, which no device knows", refusal.Code)
	case refusal.Description == "":
		return nil, errors.New("the server asks for an update without a description")
	}
	if _, err := versionParts(refusal.Details.OSVersion); err != nil {
		return nil, fmt.Errorf("the server asks for an update: %w", err)
	}
	return &refusal.Details, nil
}

// update installs what the server asks for, if that is newer and nobody objects.
func (d *Device) update(s *SetupAssistant, update OSUpdate) error {
	present, err := versionParts(d.Hardware().OSVersion)
	if err != nil {
		return err
	}
	wanted, err := versionParts(update.OSVersion)
	if err != nil {
		return err
	}
	if slices.Compare(wanted, present) <= 0 {
		return fmt.Errorf("the server asks for %s, and the device has %s", update.OSVersion, d.Hardware().OSVersion)
	}
	if s.OnUpdate != nil {
		if err := s.OnUpdate(update); err != nil {
			return fmt.Errorf("updating to %s: %w", update.OSVersion, err)
		}
	}
	if update.BuildVersion == "" {
		update.BuildVersion = someBuild
	}
	d.mu.Lock()
	d.system = update
	d.mu.Unlock()
	d.event(EventUpdated, update.OSVersion)
	return nil
}

// versionParts are the numbers of a version such as 15.4.1, without zeros at the end.
func versionParts(version string) ([]int, error) {
	var parts []int
	for part := range strings.SplitSeq(version, ".") {
		number, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is no version", version)
		}
		parts = append(parts, int(number))
	}
	for len(parts) > 1 && parts[len(parts)-1] == 0 {
		parts = parts[:len(parts)-1]
	}
	return parts, nil
}
