package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/config"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

func TestDeviceRoots(t *testing.T) {
	files := serverfiles.Write(t)
	roots := func(name string, content []byte) serverconfig.Apple {
		files.Put(t, name, content)
		return serverconfig.Apple{DeviceRootsFile: filepath.Join(files.Dir, name)}
	}
	if got, err := config.DeviceRoots(serverconfig.Apple{}); got != nil || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
	two := append(files.WebCA.CertPEM(), files.PushCA.CertPEM()...)
	if got, err := config.DeviceRoots(roots("two.pem", two)); len(got) != 2 || err != nil {
		t.Errorf("a file with two: %v, %v", got, err)
	}
	for name, tc := range map[string]struct {
		apple serverconfig.Apple
		want  string
	}{
		"missing":    {serverconfig.Apple{DeviceRootsFile: filepath.Join(files.Dir, "missing.pem")}, "no such file"},
		"empty":      {roots("empty.pem", nil), "no PEM certificate"},
		"broken":     {roots("broken.pem", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), "malformed"},
		"very large": {roots("large.pem", make([]byte, 1<<20+1)), "larger than"},
	} {
		if _, err := config.DeviceRoots(tc.apple); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "apple.deviceRootsFile") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
