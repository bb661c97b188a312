// Package payload renders Profiles for the platform that they are for.
package payload

import (
	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/payload/apple"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/payload/windows"
)

// References lists the keys of ConfigMaps and Secrets that a Profile is made of.
func References(p *v1alpha1.Profile) content.References {
	if p.Spec.Windows != nil {
		return windows.References(p)
	}
	return apple.References(p)
}

// Render makes what devices get of p. An error that is the Profile's fault holds a *content.Error.
func Render(p *v1alpha1.Profile, from content.Sources) (*content.Rendered, error) {
	if p.Spec.Windows != nil {
		return windows.Render(p, from)
	}
	return apple.Render(p, from)
}
