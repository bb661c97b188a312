package enrollmenttoken

import (
	"slices"
	"strings"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// handout says what people get.
func handout(platforms []adminapi.Platform) string {
	var parts []string
	if slices.Contains(platforms, adminapi.PlatformApple) {
		parts = append(parts, "the address to open on an Apple device")
	}
	if slices.Contains(platforms, adminapi.PlatformWindows) {
		parts = append(parts, "the token, which is the password on a PC")
	}
	return strings.Join(parts, " and ")
}

// platforms that may enrol: those that the token names, which the server must serve, or else all that it serves.
func (s *scope) platforms(server *mdmv1alpha1.MDMServer) ([]adminapi.Platform, error) {
	var served []adminapi.Platform
	if server.Spec.Apple != nil {
		served = append(served, adminapi.PlatformApple)
	}
	if server.Spec.Windows != nil {
		served = append(served, adminapi.PlatformWindows)
	}
	if len(s.token.Spec.Platforms) == 0 {
		return served, nil
	}
	var wanted []adminapi.Platform
	for _, p := range s.token.Spec.Platforms {
		if !slices.Contains(served, adminapi.Platform(p)) {
			return nil, loop.Stall(mdmv1alpha1.EnrollmentTokenPlatformNotServed,
				"the MDMServer %s does not serve %s: set spec.%s there, or take %s off spec.platforms here", server.Name, p, strings.ToLower(string(p)), p)
		}
		wanted = append(wanted, adminapi.Platform(p))
	}
	slices.Sort(wanted)
	return wanted, nil
}

// show writes into the status where devices enrol, without the token.
func (s *scope) show(server *mdmv1alpha1.MDMServer, platforms []adminapi.Platform) {
	status := &s.token.Status
	status.URL, status.WindowsDeepLink = "", ""
	if slices.Contains(platforms, adminapi.PlatformApple) {
		status.URL = "https://" + server.Spec.Host + "/enroll/"
	}
	if slices.Contains(platforms, adminapi.PlatformWindows) {
		status.WindowsDeepLink = serverconfig.WindowsDeepLink(server.Spec.Host)
	}
}
