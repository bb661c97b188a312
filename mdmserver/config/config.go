package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// allAccessRights has every bit that Apple defines for AccessRights of the MDM payload.
const allAccessRights = 8191

// Load reads and checks the configuration file. The error names every field that is missing or wrong.
func Load(path string) (*serverconfig.Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	cfg, err := serverconfig.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := check(cfg); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, nil
}

func check(c *serverconfig.Config) error {
	errs := []error{
		required("namespace", c.Namespace),
		required("name", c.Name),
		required("host", c.Host),
		required("organization", c.Organization),
		required("listen.devices", c.Listen.Devices),
		required("listen.admin", c.Listen.Admin),
		required("listen.health", c.Listen.Health),
		required("servingDir", c.ServingDir),
		required("adminDir", c.AdminDir),
		required("adminClient", c.AdminClient),
		required("sealingDir", c.SealingDir),
		positive("silentAfter", c.SilentAfter),
		checkStore(c.Store),
		checkApple(c.Apple),
	}
	if strings.ContainsAny(c.Host, "/@?# ") {
		errs = append(errs, fmt.Errorf("host is %q: give a DNS name, with a port only if it is not 443", c.Host))
	}
	return errors.Join(errs...)
}

func checkStore(s serverconfig.Store) error {
	if s.SQLite == nil {
		return errors.New("store.sqlite is missing")
	}
	return required("store.sqlite.path", s.SQLite.Path)
}

func checkApple(a *serverconfig.Apple) error {
	if a == nil {
		return errors.New("apple is missing: the server has no devices to serve")
	}
	errs := []error{
		required("apple.push.dir", a.Push.Dir),
		required("apple.identity.dir", a.Identity.Dir),
		positive("apple.identity.validity", a.Identity.Validity),
		positive("apple.identity.renewBefore", a.Identity.RenewBefore),
	}
	if u, err := url.Parse(a.Push.URL); err != nil || u.Scheme != "https" || u.Host == "" {
		errs = append(errs, fmt.Errorf("apple.push.url is %q: give an https address such as https://api.push.apple.com", a.Push.URL))
	}
	if a.AccessRights < 1 || a.AccessRights > allAccessRights {
		errs = append(errs, fmt.Errorf("apple.accessRights is %d: give a sum of Apple's bits, at most %d", a.AccessRights, allAccessRights))
	}
	if a.Identity.RenewBefore >= a.Identity.Validity {
		errs = append(errs, errors.New("apple.identity.renewBefore must be shorter than apple.identity.validity"))
	}
	return errors.Join(errs...)
}

func required(field, value string) error {
	if value == "" {
		return fmt.Errorf("%s is missing", field)
	}
	return nil
}

func positive(field string, d serverconfig.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s must be a duration above zero, such as 168h", field)
	}
	return nil
}
