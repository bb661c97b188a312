package config

import (
	"crypto/x509"
	"fmt"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// DeviceRoots reads the authorities that vouch for devices in Setup Assistant. It returns nil when Apple is to be trusted.
func DeviceRoots(a serverconfig.Apple) ([]*x509.Certificate, error) {
	if a.DeviceRootsFile == "" {
		return nil, nil
	}
	text, err := readFile(a.DeviceRootsFile)
	if err != nil {
		return nil, fmt.Errorf("apple.deviceRootsFile: %w", err)
	}
	roots, err := identity.ParseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("apple.deviceRootsFile: %w", err)
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("apple.deviceRootsFile: %s holds no PEM certificate", a.DeviceRootsFile)
	}
	return roots, nil
}
