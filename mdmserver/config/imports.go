package config

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
)

// FolderImport begins the names of the folders with the CAs of other servers; that of the import follows.
const FolderImport = "import-"

// importCA is the CA of another server. It is no credential, so no environment variable stands in for it, and a server starts without: all devices but the
// imported ones go on.
type importCA struct {
	folder[[]*x509.Certificate]
}

func (*importCA) supplement(environment, *slog.Logger) error { return nil }

func newImportCA(i serverconfig.Import) *importCA {
	name := filepath.Base(i.CAFile)
	return &importCA{folder[[]*x509.Certificate]{name: FolderImport + i.Name, dir: filepath.Dir(i.CAFile),
		parse: func(f files, _ *[]*x509.Certificate) (*[]*x509.Certificate, error) { return parseImport(f, name) }}}
}

func parseImport(f files, name string) (*[]*x509.Certificate, error) {
	text, err := f.need(name)
	if err != nil {
		return nil, err
	}
	certs, err := identity.ParseCertificates(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case len(certs) == 0:
		return nil, fmt.Errorf("%s holds no PEM certificate", name)
	}
	return &certs, nil
}

// ImportCA returns the certificates of the CA of an import, none while there is no good file.
func (c *Credentials) ImportCA(name string) []*x509.Certificate {
	f := c.imports[name]
	if f == nil {
		return nil
	}
	if certs := f.get(); certs != nil {
		return *certs
	}
	return nil
}

// ImportCAs returns those of all imports.
func (c *Credentials) ImportCAs() []*x509.Certificate {
	var all []*x509.Certificate
	for name := range c.imports {
		all = append(all, c.ImportCA(name)...)
	}
	return all
}

func checkImports(imports []serverconfig.Import) []error {
	var errs []error
	names := map[string]bool{}
	for _, i := range imports {
		field := fmt.Sprintf("apple.imports[%s]", i.Name)
		errs = append(errs, required(field+".name", i.Name), required(field+".caFile", i.CAFile))
		for _, p := range []struct{ name, value string }{{"serverPath", i.ServerPath}, {"checkInPath", i.CheckInPath}} {
			if err := serverconfig.CheckPath(p.value); err != nil {
				errs = append(errs, fmt.Errorf("%s.%s: %w", field, p.name, err))
			}
		}
		if names[i.Name] {
			errs = append(errs, fmt.Errorf("%s is there twice", field))
		}
		names[i.Name] = true
	}
	return errs
}
