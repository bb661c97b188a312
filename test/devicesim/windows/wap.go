package windows

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// Provisioning is what a wap-provisioningdoc gave (MS-MDE2 section 2.2.9.1). A renewal's has only Certificate, Store, ProviderID and, if it
// changed, Root.
type Provisioning struct {
	Root        *x509.Certificate
	Certificate *x509.Certificate
	// Store is User or System.
	Store string
	// RenewPeriod and RetryInterval are days before the certificate's end and between tries.
	RenewPeriod, RetryInterval int

	ProviderID    string
	ManagementURL string
	// Retries, InitialBackoff and MaxBackoff are for connections that fail.
	Retries                    int
	InitialBackoff, MaxBackoff time.Duration
	// SearchCriteria is SSLCLIENTCERTSEARCHCRITERIA, decoded: how the certificate for TLS is found. Empty: none is presented.
	SearchCriteria url.Values
	// ToServer and ToClient are the credentials of either direction.
	ToServer, ToClient Credentials

	settings map[string]Node // of the DMClient CSP, by path below the provider
}

// Credentials are an APPAUTH block.
type Credentials struct {
	// Type is BASIC or DIGEST.
	Type         string
	Name, Secret string
	Nonce        []byte
}

// ParseProvisioning reads a document as strictly as Windows.
func ParseProvisioning(document []byte) (*Provisioning, error) {
	p := &Provisioning{}
	err := p.read(document)
	if err != nil {
		return nil, malformed("provisioning document: %w", err)
	}
	return p, nil
}

func (p *Provisioning) read(document []byte) error {
	root, err := parse(document)
	if err != nil {
		return err
	}
	if root.Local != "wap-provisioningdoc" || root.attr("version") != "1.1" {
		return fmt.Errorf("<%s> version %q", root.Local, root.attr("version"))
	}
	if err := p.readCertificates(root.characteristic("CertificateStore")); err != nil {
		return fmt.Errorf("CertificateStore: %w", err)
	}
	application := root.characteristic("APPLICATION")
	if application == nil {
		return errors.New("no APPLICATION: the name is case-sensitive")
	}
	if p.ProviderID = application.parm("PROVIDER-ID"); p.ProviderID == "" {
		return errors.New("APPLICATION: no PROVIDER-ID")
	}
	if len(application.children) == 1 {
		return nil // a renewal
	}
	if err := p.readApplication(application); err != nil {
		return fmt.Errorf("APPLICATION: %w", err)
	}
	if err := p.readRenewal(root.characteristic("CertificateStore/My/WSTEP/Renew")); err != nil {
		return fmt.Errorf("WSTEP/Renew: %w", err)
	}
	if err := p.readSettings(root.characteristic("DMClient/Provider/" + p.ProviderID)); err != nil {
		return fmt.Errorf("DMClient: %w", err)
	}
	return nil
}

// characteristic follows a path of types, which are case-sensitive.
func (e *element) characteristic(path string) *element {
	for name := range strings.SplitSeq(path, "/") {
		at := -1
		if e != nil {
			at = slices.IndexFunc(e.children, func(c *element) bool { return c.Local == "characteristic" && c.attr("type") == name })
		}
		if at < 0 {
			return nil
		}
		e = e.children[at]
	}
	return e
}

// find returns the parm with this name, nil without one.
func (e *element) find(name string) *element {
	for _, parm := range e.all("parm") {
		if parm.attr("name") == name {
			return parm
		}
	}
	return nil
}

// parm is the value of the parm with this name.
func (e *element) parm(name string) string { return e.find(name).attr("value") }

func (p *Provisioning) readCertificates(store *element) error {
	if roots := store.characteristic("Root/System"); roots != nil {
		if len(roots.all("characteristic")) != 1 {
			return errors.New("more than one root")
		}
		var err error
		if p.Root, err = readCertificate(roots.all("characteristic")[0]); err != nil {
			return fmt.Errorf("root: %w", err)
		}
	}
	for _, name := range []string{"User", "System"} {
		my := store.characteristic("My/" + name)
		if my == nil {
			continue
		}
		if p.Certificate != nil {
			return errors.New("the certificate is in two stores")
		}
		if err := p.readOwn(my); err != nil {
			return fmt.Errorf("the store %s: %w", name, err)
		}
		p.Store = name
	}
	if p.Certificate == nil {
		return errors.New("no certificate in My")
	}
	return nil
}

// readOwn reads the PC's own certificate, whose key container is named beside it or within it.
func (p *Provisioning) readOwn(my *element) error {
	certificates := slices.DeleteFunc(my.all("characteristic"), func(c *element) bool { return c.find("EncodedCertificate") == nil })
	if len(certificates) != 1 {
		return fmt.Errorf("%d certificates", len(certificates))
	}
	container := my.characteristic("PrivateKeyContainer")
	if container == nil {
		container = certificates[0].characteristic("PrivateKeyContainer")
	}
	if container == nil && certificates[0].find("PrivateKeyContainer") == nil {
		return errors.New("no PrivateKeyContainer")
	}
	var err error
	p.Certificate, err = readCertificate(certificates[0])
	return err
}

func readCertificate(c *element) (*x509.Certificate, error) {
	encoded := c.parm("EncodedCertificate")
	if strings.ContainsAny(encoded, "\r\n") {
		return nil, errors.New("line feeds in EncodedCertificate")
	}
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("EncodedCertificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("EncodedCertificate: %w", err)
	}
	if name := thumbprint(certificate); c.attr("type") != name {
		return nil, fmt.Errorf("it is filed under %q, not %q", c.attr("type"), name)
	}
	return certificate, nil
}

// thumbprint is how certificate stores name a certificate.
func thumbprint(certificate *x509.Certificate) string {
	sum := sha1.Sum(certificate.Raw)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func (p *Provisioning) readRenewal(renew *element) error {
	for name, datatype := range map[string]string{"ROBOSupport": "boolean", "RenewPeriod": "integer", "RetryInterval": "integer"} {
		if got := renew.find(name).attr("datatype"); got != datatype {
			return fmt.Errorf("%s has the datatype %q, not %s", name, got, datatype)
		}
	}
	var errPeriod, errRetry error
	p.RenewPeriod, errPeriod = strconv.Atoi(renew.parm("RenewPeriod"))
	p.RetryInterval, errRetry = strconv.Atoi(renew.parm("RetryInterval"))
	if err := errors.Join(errPeriod, errRetry); err != nil {
		return err
	}
	if renew.parm("ROBOSupport") != "true" || p.RetryInterval < 1 || p.RetryInterval > p.RenewPeriod {
		return fmt.Errorf("ROBOSupport %s, RenewPeriod %d, RetryInterval %d", renew.parm("ROBOSupport"), p.RenewPeriod, p.RetryInterval)
	}
	return nil
}

// accept checks the certificate against the key and where it was put.
func (p *Provisioning) accept(key *rsa.PrivateKey, kind EnrollmentType) (*devicesim.Identity, error) {
	want := map[EnrollmentType]string{EnrollmentFull: "User", EnrollmentDevice: "System"}[kind]
	switch {
	case !key.PublicKey.Equal(p.Certificate.PublicKey):
		return nil, malformed("the certificate is not for the PC's key")
	case p.Store != want:
		return nil, malformed("the certificate is in the store of %s, not %s", p.Store, want)
	case !slices.Contains(p.Certificate.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return nil, malformed("the certificate is not for client authentication")
	}
	if p.Root != nil {
		if err := p.Certificate.CheckSignatureFrom(p.Root); err != nil {
			return nil, malformed("the certificate is not of the given root: %w", err)
		}
	}
	identity := &devicesim.Identity{Certificate: p.Certificate, Key: key}
	if p.SearchCriteria != nil && !p.finds(identity.Certificate) {
		return nil, malformed("SSLCLIENTCERTSEARCHCRITERIA %v does not find the certificate", p.SearchCriteria)
	}
	return identity, nil
}

// finds says whether the search criteria lead to a certificate in the store that the document put its own into.
func (p *Provisioning) finds(certificate *x509.Certificate) bool {
	if p.SearchCriteria.Get("Stores") != `My\`+p.Store {
		return false
	}
	for part := range strings.SplitSeq(p.SearchCriteria.Get("Subject"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		found := map[string][]string{
			"CN": {certificate.Subject.CommonName}, "O": certificate.Subject.Organization, "OU": certificate.Subject.OrganizationalUnit,
		}[name]
		if !slices.Contains(found, value) {
			return false
		}
	}
	return true
}
