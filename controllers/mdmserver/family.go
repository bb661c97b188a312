package mdmserver

import (
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// family is a CA for devices with all that its generations depend on.
type family struct {
	owned.CA
	validity    time.Duration // of a device's certificate
	renewBefore time.Duration
	// listed, with a generation behind it, names a generation in the status.
	listed string
	// rotate is the annotation of the MDMServer that asks for another generation.
	rotate string
	// loaded are the generations that the running server has loaded, every replica of it.
	loaded func(adminapi.Info) []adminapi.CAInfo
}

// families are the CAs of the platforms that are served. What a platform that is not served any more has left stays as it is.
func (s *scope) families() []family {
	var all []family
	if apple := s.server.Spec.Apple; apple != nil {
		all = append(all, family{
			CA: s.server.AppleCA(), validity: apple.Identity.Validity.Duration, renewBefore: apple.Identity.RenewBefore.Duration,
			listed: "IdentityCA-", rotate: mdmv1alpha1.AnnotationRotateIdentityCA,
			loaded: func(info adminapi.Info) []adminapi.CAInfo { return info.IdentityCAs },
		})
	}
	if windows := s.server.Spec.Windows; windows != nil {
		all = append(all, family{
			CA: s.server.WindowsCA(), validity: windows.Identity.Validity.Duration, renewBefore: windows.Identity.RenewBefore.Duration,
			listed: "WSTEPCA-", rotate: mdmv1alpha1.AnnotationRotateWSTEPCA,
			loaded: func(info adminapi.Info) []adminapi.CAInfo { return info.WSTEPCAs },
		})
	}
	return all
}
