package applepki

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"time"

	"github.com/smallstep/pkcs7"
)

// deviceKeyBits is the size of the keys that devices get in the factory.
const deviceKeyBits = 1024

// DeviceCA is the branch of Apple's authorities that vouches for devices: Apple Root CA, Apple iPhone Certification Authority and Apple iPhone Device CA,
// which issues to Macs too. As in the field, all of it is signed with SHA-1: whoever verifies it with the standard library alone fails. It is safe for concurrent use.
type DeviceCA struct {
	now     func() time.Time
	root    *x509.Certificate
	parents []*x509.Certificate // the issuer of the devices' certificates first, the root left out
	key     *rsa.PrivateKey     // of the issuer
}

// NewDeviceCA makes authorities that started ten years before now() and are valid for another ten.
func NewDeviceCA(now func() time.Time) (*DeviceCA, error) {
	root, err := newDeviceAuthority(now(), appleName("Apple Root CA", "Apple Certification Authority"), nil)
	if err != nil {
		return nil, fmt.Errorf("making the root: %w", err)
	}
	middle, err := newDeviceAuthority(now(), appleName("Apple iPhone Certification Authority", "Apple Certification Authority"), root)
	if err != nil {
		return nil, fmt.Errorf("making the intermediate: %w", err)
	}
	issuer, err := newDeviceAuthority(now(), appleName("Apple iPhone Device CA", "Apple iPhone"), middle)
	if err != nil {
		return nil, fmt.Errorf("making the issuer: %w", err)
	}
	return &DeviceCA{now: now, root: root.cert, parents: []*x509.Certificate{issuer.cert, middle.cert}, key: issuer.key}, nil
}

// newDeviceAuthority makes an authority below a parent, or a root without one.
func newDeviceAuthority(now time.Time, name pkix.Name, parent *authority) (*authority, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject: name, NotBefore: now.AddDate(-10, 0, 0), NotAfter: now.AddDate(10, 0, 0), SignatureAlgorithm: x509.SHA1WithRSA,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
	if parent == nil {
		parent = &authority{template, key}
	}
	cert, err := create(template, parent.cert, key.Public(), parent.key)
	return &authority{cert, key}, err
}

// Root is the certificate of the root.
func (ca *DeviceCA) Root() *x509.Certificate { return ca.root }

// RootPEM is the certificate of the root: what a server trusts.
func (ca *DeviceCA) RootPEM() []byte { return encode(ca.root) }

// DeviceOptions say what a device got in the factory. The zero value is an old device: its certificate ended two years ago, and it signs with SHA-1.
type DeviceOptions struct {
	// NotBefore and NotAfter are three and two years ago unless they are set.
	NotBefore, NotAfter time.Time
	// Key is the device's, RSA or ECDSA; nil makes one.
	Key crypto.Signer
	// SHA256 makes the certificate and messages be signed with SHA-256 instead of SHA-1.
	SHA256 bool
	// Attributes adds signed attributes to messages; without it the signature is over the content itself, as devices make it.
	Attributes bool
}

// DeviceIdentity is what a device proves with that it was made by Apple.
type DeviceIdentity struct {
	Certificate *x509.Certificate
	Key         crypto.Signer

	parents []*x509.Certificate
	options DeviceOptions
}

// Issue makes the identity of the device with this UDID.
func (ca *DeviceCA) Issue(udid string, o DeviceOptions) (*DeviceIdentity, error) {
	if o.Key == nil {
		key, err := rsa.GenerateKey(rand.Reader, deviceKeyBits)
		if err != nil {
			return nil, fmt.Errorf("making the device's key: %w", err)
		}
		o.Key = key
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: udid, OrganizationalUnit: []string{"iPhone"}, Organization: []string{"Apple Inc."}, Locality: []string{"Cupertino"}, Country: []string{"US"}},
		NotBefore: ca.now().AddDate(-3, 0, 0), NotAfter: ca.now().AddDate(-2, 0, 0), SignatureAlgorithm: x509.SHA1WithRSA,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if !o.NotBefore.IsZero() {
		template.NotBefore = o.NotBefore
	}
	if !o.NotAfter.IsZero() {
		template.NotAfter = o.NotAfter
	}
	if o.SHA256 {
		template.SignatureAlgorithm = x509.SHA256WithRSA
	}
	cert, err := create(template, ca.parents[0], o.Key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("issuing the device's certificate: %w", err)
	}
	return &DeviceIdentity{Certificate: cert, Key: o.Key, parents: ca.parents, options: o}, nil
}

// Sign makes the CMS SignedData of a document, which is inside, with the certificates up to below the root, in DER.
func (i *DeviceIdentity) Sign(document []byte) ([]byte, error) {
	signed, err := pkcs7.NewSignedData(document)
	if err != nil {
		return nil, fmt.Errorf("signing as a device: %w", err)
	}
	signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA1)
	if i.options.SHA256 {
		signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	}
	add := signed.SignWithoutAttr
	if i.options.Attributes {
		add = signed.AddSigner
	}
	if err := add(i.Certificate, i.Key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, fmt.Errorf("signing as a device: %w", err)
	}
	for _, parent := range i.parents {
		signed.AddCertificate(parent)
	}
	return signed.Finish()
}

// WithChain is the identity with messages that carry these certificates beside its own: none, too many, or another branch's.
func (i *DeviceIdentity) WithChain(parents ...*x509.Certificate) *DeviceIdentity {
	other := *i
	other.parents = slices.Clone(parents)
	return &other
}

// Parents are the certificates of the authorities below the root, the issuer of the devices' first.
func (ca *DeviceCA) Parents() []*x509.Certificate { return slices.Clone(ca.parents) }
