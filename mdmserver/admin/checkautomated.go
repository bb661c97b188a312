package admin

import (
	"net/http"
	"regexp"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// maxProfiles bounds the setup-assistant profiles of an automated enrolment, and the families that one has a minimum for.
const maxProfiles = 100

// versionPattern is that of a system's version, such as 15.4.1.
var versionPattern = regexp.MustCompile(`^[0-9]{1,5}(\.[0-9]{1,5}){0,3}$`)

func checkAutomated(r *http.Request, a adminapi.Automated) error {
	if err := first(
		sameKey(r, a.Key),
		short("digest", a.Digest, maxID),
		atMost("profiles", len(a.Profiles), maxProfiles),
		atMost("devices", len(a.Devices), adminapi.MaxAutomatedDevices),
		each(a.Profiles, checkAutomatedProfile),
	); err != nil {
		return err
	}
	names := map[string]bool{"": true}
	for _, p := range a.Profiles {
		if names[p.Name] {
			return invalid("profiles has %q twice", p.Name)
		}
		names[p.Name] = true
	}
	for serial, profile := range a.Devices {
		if err := short("a serial number in devices", serial, maxID); err != nil {
			return err
		}
		if !names[profile] {
			return invalid("devices names the profile %.64q, which is not in profiles", profile)
		}
	}
	return nil
}

func checkAutomatedProfile(p adminapi.AutomatedProfile) error {
	for family, minimum := range p.MinimumOS {
		if err := first(short("a family in minimumOS", family, maxID), atMost("minimumOS.build", len(minimum.Build), maxID)); err != nil {
			return err
		}
		if !versionPattern.MatchString(minimum.Version) {
			return invalid("minimumOS of %.64q must be a version such as 15.4.1", family)
		}
	}
	return first(short("the name of a profile", p.Name, maxID), atMost("minimumOS", len(p.MinimumOS), maxProfiles))
}
