package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

func TestBadAutomatedEnrolments(t *testing.T) {
	minimum := func(family, version string) []adminapi.AutomatedProfile {
		return []adminapi.AutomatedProfile{{Name: "macs", MinimumOS: map[string]adminapi.OSVersion{family: {Version: version}}}}
	}
	for name, tc := range map[string]struct {
		change  func(*adminapi.Automated)
		message string
	}{
		"another key":             {func(a *adminapi.Automated) { a.Key = "fleet/other" }, "the path names fleet/business"},
		"no digest":               {func(a *adminapi.Automated) { a.Digest = "" }, "digest"},
		"a profile without name":  {func(a *adminapi.Automated) { a.Profiles = []adminapi.AutomatedProfile{{}} }, "the name of a profile"},
		"a name twice":            {func(a *adminapi.Automated) { a.Profiles = append(a.Profiles, a.Profiles[0]) }, `"macs" twice`},
		"an unknown profile":      {func(a *adminapi.Automated) { a.Devices = map[string]string{"C04": "phones"} }, `"phones"`},
		"no serial number":        {func(a *adminapi.Automated) { a.Devices = map[string]string{"": "macs"} }, "serial number"},
		"a long serial number":    {func(a *adminapi.Automated) { a.Devices = map[string]string{strings.Repeat("C", 256): ""} }, "serial number"},
		"a minimum in words":      {func(a *adminapi.Automated) { a.Profiles = minimum("Mac", "newest") }, "version such as"},
		"a minimum for no family": {func(a *adminapi.Automated) { a.Profiles = minimum("", "15.4") }, "family"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := automated
			bad.Devices = nil
			tc.change(&bad)
			f := &domain{}
			s := serve(t, f)
			status, e := s.send(t, http.MethodPut, "/v1/automated/fleet/business", encode(t, bad), "42")
			if status != http.StatusBadRequest || !strings.Contains(e.Message, tc.message) || f.called != "" {
				t.Errorf("got %d %v, the fleet saw %q; want %q", status, e, f.called, tc.message)
			}
		})
	}
}
