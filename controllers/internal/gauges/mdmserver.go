package gauges

import (
	"strings"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

var mdmServer = []gauge{
	of("mdmserver_certificate_expiry_timestamp_seconds", "When a certificate of the server ends, the generations of its CAs among them, by name and role.",
		[]string{"certificate", "role"}, func(s *mdmv1alpha1.MDMServer, _ time.Time, send send) {
			for _, c := range s.Status.Certificates {
				if c.NotAfter != nil {
					send(float64(c.NotAfter.Unix()), c.Name, string(c.Role))
				}
			}
		}),
	of("mdmserver_ca_due_timestamp_seconds", "When the operator makes the next generation of the CA by itself: what it issues after that would outlive it.",
		[]string{"certificate"}, func(s *mdmv1alpha1.MDMServer, _ time.Time, send send) {
			for _, c := range s.Status.Certificates {
				if need := leafNeeds(s, c.Name); c.Role == mdmv1alpha1.CARoleActive && c.NotAfter != nil && need > 0 {
					send(float64(c.NotAfter.Add(-need).Unix()), c.Name)
				}
			}
		}),
	of("mdmserver_devices", "Devices of the server by state: enrolled (all), behind (the server is waking them), responding (heard from within spec.silentAfter).",
		[]string{"state"}, func(s *mdmv1alpha1.MDMServer, _ time.Time, send send) {
			counts(send, map[string]*int32{"enrolled": s.Status.Enrolled, "behind": s.Status.Behind, "responding": s.Status.Responding})
		}),
}

// leafNeeds is how much time a generation must have left so that a certificate issued now is not cut short before its renewal; 0: it is no generation.
func leafNeeds(s *mdmv1alpha1.MDMServer, certificate string) time.Duration {
	switch {
	case strings.HasPrefix(certificate, "IdentityCA-") && s.Spec.Apple != nil:
		return s.Spec.Apple.Identity.Validity.Duration + s.Spec.Apple.Identity.RenewBefore.Duration
	case strings.HasPrefix(certificate, "WSTEPCA-") && s.Spec.Windows != nil:
		return s.Spec.Windows.Identity.Validity.Duration + s.Spec.Windows.Identity.RenewBefore.Duration
	}
	return 0
}
