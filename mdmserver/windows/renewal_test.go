package windows_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
	"github.com/kubemdm/kubemdm/mdmserver/windows"
	"github.com/kubemdm/kubemdm/mdmserver/windows/csr/csrtest"
)

// due is when fresh, which ends a year after the epoch, is to be renewed.
var due = identitytest.Epoch.AddDate(1, 0, -42)

func at(now time.Time) windows.Options {
	o := options()
	o.Now = func() time.Time { return now }
	return o
}

func renewal(message []byte) string {
	return envelope(password(""), tokenRequest("Renew", message, "DeviceID", deviceID, "EnrollmentType", "Device"))
}

func TestRenewal(t *testing.T) {
	k, o := keys(), at(due)
	document := provisioned(t, post(t, o, enrollPath, renewal(csrtest.Renewal(t, k.fresh, k.request))))
	cert := clientCertificate(t, document, "System")
	if !k.newKey.PublicKey.Equal(cert.PublicKey) || cert.CheckSignatureFrom(k.active.Cert) != nil || !cert.NotAfter.Equal(due.Add(365*day)) {
		t.Errorf("certificate of %v until %v", cert.Issuer, cert.NotAfter)
	}
	f := o.Fleet.(*enroller)
	if !slices.Equal(f.calls, []string{"renew"}) || f.claim.DeviceID != deviceID || f.signer.EnrollmentID != "enrollment-1" || !f.signer.NotAfter.Equal(k.fresh.Cert.NotAfter) {
		t.Errorf("the fleet was asked %v by %+v for %+v", f.calls, f.signer, f.claim)
	}
	if roots := trusted(document, "Root"); len(roots) != 0 {
		t.Errorf("the issuer is known already: %v", roots)
	}
	if document.at("APPLICATION").parm("PROVIDER-ID") != "KubeMDM" || document.at("APPLICATION").parm("ADDR") != "" || document.at("DMClient") != nil {
		t.Errorf("a renewal changes nothing else: %+v", document)
	}
}

func TestARenewalOntoTheNextGeneration(t *testing.T) {
	k := keys()
	early := at(inSpring) // not due, but the issuer retires
	document := provisioned(t, post(t, early, enrollPath, renewal(csrtest.Renewal(t, k.device, k.request))))
	if cert := clientCertificate(t, document, "System"); cert.CheckSignatureFrom(k.active.Cert) != nil {
		t.Errorf("issued by %v", cert.Issuer)
	}
	if roots := trusted(document, "Root"); !slices.Equal(roots, []string{thumbprint(k.active.Cert)}) {
		t.Errorf("roots %v", roots)
	}
}

// What proves a renewal is the signature: the header's credential and the stated request type do not matter.
func TestWhatARenewalIsKnownBy(t *testing.T) {
	k := keys()
	for name, message := range map[string]string{
		"somebody's token":   envelope(password("wrong"), tokenRequest("Renew", csrtest.Renewal(t, k.fresh, k.request), "DeviceID", deviceID)),
		"an empty token":     envelope(binary(""), tokenRequest("Renew", csrtest.Renewal(t, k.fresh, k.request), "DeviceID", deviceID)),
		"it says Issue":      envelope("", tokenRequest("Issue", csrtest.Renewal(t, k.fresh, k.request), "DeviceID", deviceID)),
		"it names no device": envelope("", tokenRequest("Renew", csrtest.Renewal(t, k.fresh, k.request))),
		"no security at all": envelope("", tokenRequest("Renew", csrtest.Renewal(t, k.fresh, k.request), "DeviceID", deviceID)),
	} {
		t.Run(name, func(t *testing.T) {
			o := at(due)
			provisioned(t, post(t, o, enrollPath, message))
			if calls := o.Fleet.(*enroller).calls; !slices.Equal(calls, []string{"renew"}) {
				t.Errorf("the fleet was asked: %v", calls)
			}
		})
	}
}

func TestRenewalsThatAreRefused(t *testing.T) {
	k := keys()
	signed := csrtest.Renewal(t, k.fresh, k.request)
	tampered := bytes.Replace(signed, []byte("B1C43CD0"), []byte("B1C43CD1"), 1)
	strange := identitytest.Issue(t, k.strange, "enrollment-1")
	for name, c := range map[string]struct {
		message            []byte
		now                time.Time
		subcode, errorType string
	}{
		"not due":                      {signed, due.Add(-2 * day), "s:authorization", "NotEligibleToRenew"},
		"expired":                      {signed, k.fresh.Cert.NotAfter.Add(time.Second), "a:invalidsecurity", ""},
		"a certificate of others":      {csrtest.Renewal(t, strange, k.request), due, "a:invalidsecurity", ""},
		"the certificate, not its key": {csrtest.Renewal(t, identitytest.Device{Cert: k.fresh.Cert, Key: k.newKey}, k.request), due, "a:invalidsecurity", ""},
		"another request than signed":  {tampered, due, "a:invalidsecurity", ""},
		"not signed":                   {k.request, due, "a:invalidsecurity", ""},
		"100 kB of padding":            {append(bytes.Clone(signed), make([]byte, 100<<10)...), due, "s:certificaterequest", ""},
		"half of it":                   {signed[:len(signed)/2], due, "a:invalidsecurity", ""},
		"no request in it":             {csrtest.Renewal(t, k.fresh, []byte("hello")), due, "s:certificaterequest", ""},
	} {
		t.Run(name, func(t *testing.T) {
			subcode, errorType, _ := faultOf(t, post(t, at(c.now), enrollPath, renewal(c.message)))
			if subcode != c.subcode || errorType != c.errorType {
				t.Errorf("fault %q %q", subcode, errorType)
			}
		})
	}
}

// The slack is for clocks, and for periods that devices know in whole days.
func TestARenewalAFewHoursEarly(t *testing.T) {
	k := keys()
	provisioned(t, post(t, at(due.Add(-12*time.Hour)), enrollPath, renewal(csrtest.Renewal(t, k.fresh, k.request))))
}

func TestARenewalOfAGenerationThatIsGone(t *testing.T) {
	k, o := keys(), at(due)
	o.CAs = func() []identity.CA { return []identity.CA{k.active} }
	if subcode, _, _ := faultOf(t, post(t, o, enrollPath, renewal(csrtest.Renewal(t, k.device, k.request)))); subcode != "a:invalidsecurity" {
		t.Errorf("fault %q", subcode)
	}
}

func TestAReplayedRenewal(t *testing.T) {
	k, o := keys(), at(due)
	o.Fleet = &enroller{err: fleet.ErrKeyReused}
	if subcode, _, _ := faultOf(t, post(t, o, enrollPath, renewal(csrtest.Renewal(t, k.fresh, k.request)))); subcode != "s:certificaterequest" {
		t.Errorf("fault %q", subcode)
	}
}

// openssl makes its renewals without our code: the right key is taken, any other refused.
func TestRenewalsForgedWithOpenSSL(t *testing.T) {
	k := keys()
	strange := identitytest.Issue(t, k.strange, "enrollment-1")
	for name, c := range map[string]struct {
		device  identitytest.Device
		now     time.Time
		subcode string
	}{
		"the device's key":        {k.fresh, due, ""},
		"another device's key":    {identitytest.Device{Cert: k.fresh.Cert, Key: k.newKey}, due, "a:invalidsecurity"},
		"a certificate of others": {strange, due, "a:invalidsecurity"},
		"an expired certificate":  {k.fresh, k.fresh.Cert.NotAfter.Add(time.Hour), "a:invalidsecurity"},
	} {
		t.Run(name, func(t *testing.T) {
			message := opensslSign(t, c.device, k.request)
			subcode, _, _ := faultOf(t, post(t, at(c.now), enrollPath, renewal(message)))
			if subcode != c.subcode {
				t.Errorf("fault %q", subcode)
			}
		})
	}
}

// opensslSign runs "openssl cms -sign". openssl itself refuses a key that does not fit, so that one signs with a certificate of its own, in whose
// place the device's is put afterwards.
func opensslSign(t *testing.T, device identitytest.Device, content []byte) []byte {
	t.Helper()
	signing := device.Cert
	if !device.Key.PublicKey.Equal(device.Cert.PublicKey) {
		signing = impostor(t, device)
	}
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := x509.MarshalPKCS8PrivateKey(device.Key)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	command := exec.CommandContext(t.Context(), "openssl", "cms", "-sign", "-binary", "-nodetach", "-md", "sha256", "-outform", "DER", "-out", out,
		"-in", file("in", content),
		"-signer", file("crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signing.Raw})),
		"-inkey", file("key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	message, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Replace(message, signing.Raw, device.Cert.Raw, 1)
}

// impostor is the device's certificate in everything, its length included, but the key and whose signature it bears.
func impostor(t *testing.T, device identitytest.Device) *x509.Certificate {
	t.Helper()
	issuer := keys().strange
	template := &x509.Certificate{
		SerialNumber: device.Cert.SerialNumber,
		Subject:      device.Cert.Subject,
		NotBefore:    device.Cert.NotBefore,
		NotAfter:     device.Cert.NotAfter,
		ExtKeyUsage:  device.Cert.ExtKeyUsage,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Cert, device.Key.Public(), issuer.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if len(der) != len(device.Cert.Raw) || !bytes.Equal(cert.RawIssuer, device.Cert.RawIssuer) {
		t.Fatal("the certificates differ in more than was meant")
	}
	return cert
}
