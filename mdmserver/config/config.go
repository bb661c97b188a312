package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
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
		checkHost("host", c.Host),
		checkStore(c.Store),
	}
	if c.Apple == nil && c.Windows == nil {
		errs = append(errs, errors.New("apple and windows are missing: the server has no devices to serve"))
	}
	if c.Apple != nil {
		errs = append(errs, checkApple(c.Apple))
	}
	if c.Windows != nil {
		errs = append(errs, checkWindows(c.Windows, c.Host))
	}
	return errors.Join(append(errs, checkPage(c))...)
}

func checkHost(field, host string) error {
	if strings.ContainsAny(host, "/@?# ") {
		return fmt.Errorf("%s is %q: give a DNS name, with a port only if it is not 443", field, host)
	}
	return nil
}

func checkStore(s serverconfig.Store) error {
	switch {
	case s.SQLite == nil && s.Postgres == nil:
		return errors.New("store is missing: give store.sqlite or store.postgres")
	case s.SQLite != nil && s.Postgres != nil:
		return errors.New("store.sqlite and store.postgres are both there: a server has one store")
	case s.SQLite != nil:
		return required("store.sqlite.path", s.SQLite.Path)
	}
	err := required("store.postgres.dir", s.Postgres.Dir)
	if s.Postgres.MaxConnections < serverconfig.DatabaseMinConnections {
		err = errors.Join(err, fmt.Errorf("store.postgres.maxConnections is %d: a replica needs %d at least", s.Postgres.MaxConnections, serverconfig.DatabaseMinConnections))
	}
	return err
}

func checkApple(a *serverconfig.Apple) error {
	errs := []error{
		required("apple.push.dir", a.Push.Dir),
		checkHTTPS("apple.push.url", a.Push.URL),
		checkIdentity("apple.identity", a.Identity),
	}
	if a.SignIn != nil {
		errs = append(errs, checkSignIn("apple.signIn", a.SignIn))
		if a.SignIn.Token != "" {
			errs = append(errs, errors.New("apple.signIn.token must be empty: devices enrol here by what Apple says of them, not by a token"))
		}
	}
	errs = append(errs, checkImports(a.Imports)...)
	if a.AccessRights < 1 || a.AccessRights > allAccessRights {
		errs = append(errs, fmt.Errorf("apple.accessRights is %d: give a sum of Apple's bits, at most %d", a.AccessRights, allAccessRights))
	}
	return errors.Join(errs...)
}

func checkWindows(w *serverconfig.Windows, host string) error {
	errs := []error{
		checkIdentity("windows.identity", w.Identity),
		positive("windows.pollEvery", w.PollEvery),
		positive("windows.verifyEvery", w.VerifyEvery),
		checkHost("windows.managementHost", w.ManagementHost),
	}
	if serverconfig.DNSName(w.ManagementHost) == serverconfig.DNSName(host) {
		errs = append(errs, errors.New("windows.managementHost must be another DNS name than host, or empty"))
	}
	if !slices.Contains([]serverconfig.Require{serverconfig.RequireDigest, serverconfig.RequireCertificate, serverconfig.RequireSignature}, w.Authentication.Require) {
		errs = append(errs, fmt.Errorf("windows.authentication.require is %q: give Digest, Certificate or Signature", w.Authentication.Require))
	}
	for _, network := range w.Authentication.TrustedProxies {
		if _, err := netip.ParsePrefix(network); err != nil {
			errs = append(errs, fmt.Errorf("windows.authentication.trustedProxies has %q: give networks such as 10.0.0.0/8", network))
		}
	}
	if w.SignIn != nil {
		errs = append(errs, checkSignIn("windows.signIn", w.SignIn), required("windows.signIn.token", w.SignIn.Token))
	}
	return errors.Join(errs...)
}

func checkSignIn(field string, s *serverconfig.SignIn) error {
	return errors.Join(
		checkHTTPS(field+".issuerURL", s.IssuerURL),
		required(field+".clientID", s.ClientID),
		required(field+".dir", s.Dir),
	)
}

// colour is how the page takes its colour.
var colour = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func checkPage(c *serverconfig.Config) error {
	var errs []error
	if c.Page.Color != "" && !colour.MatchString(c.Page.Color) {
		errs = append(errs, fmt.Errorf("page.color is %q: give #rrggbb", c.Page.Color))
	}
	if support := c.Page.SupportURL; support != "" && !strings.HasPrefix(support, "mailto:") && !strings.HasPrefix(support, "https://") {
		errs = append(errs, fmt.Errorf("page.supportURL is %q: give an https: or mailto: address", support))
	}
	if c.Page.SignInToken != "" && (c.Apple == nil || c.Apple.SignIn == nil) {
		errs = append(errs, errors.New("page.signInToken needs apple.signIn: the issuer where people sign in"))
	}
	return errors.Join(errs...)
}

func checkIdentity(field string, i serverconfig.Identity) error {
	errs := []error{
		required(field+".dir", i.Dir),
		positive(field+".validity", i.Validity),
		positive(field+".renewBefore", i.RenewBefore),
	}
	if i.RenewBefore >= i.Validity {
		errs = append(errs, fmt.Errorf("%s.renewBefore must be shorter than %s.validity", field, field))
	}
	return errors.Join(errs...)
}

func checkHTTPS(field, address string) error {
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s is %q: give an https address", field, address)
	}
	return nil
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
