package gauges

import (
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

var profile = []gauge{
	of("profile_devices", "Devices by state: targeted is the sum of installed, pending (behind) and failed (refused); not_now is a part of pending; removing still have it and should not.",
		[]string{"state"}, func(p *mdmv1alpha1.Profile, _ time.Time, send send) {
			s := &p.Status
			counts(send, map[string]*int32{
				"targeted": s.Targeted, "installed": s.Installed, "pending": s.Pending, "not_now": s.NotNow, "failed": s.Failed, "removing": s.Removing,
			})
		}),
	of("profile_held_removal_devices", "Devices that would lose the profile by a removal that waits for a person; absent when none does.",
		nil, func(p *mdmv1alpha1.Profile, _ time.Time, send send) {
			if held := p.Status.HeldRemoval; held != nil {
				send(float64(held.Devices))
			}
		}),
}
