package windows_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/windows"
)

func enroll(t testing.TB, o windows.Options, items ...string) *section {
	t.Helper()
	request := tokenRequest("Issue", keys().request, append([]string{"DeviceID", deviceID}, items...)...)
	return provisioned(t, post(t, o, enrollPath, envelope(password("token"), request)))
}

// clientCertificate returns that of a document, which stands under its own thumbprint.
func clientCertificate(t testing.TB, document *section, store string) *x509.Certificate {
	t.Helper()
	entry := document.at("CertificateStore", "My", store, "")
	der, err := base64.StdEncoding.DecodeString(entry.parm("EncodedCertificate"))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("no certificate in My/%s: %v", store, err)
	}
	if entry.Type != thumbprint(cert) || entry.at("PrivateKeyContainer") == nil {
		t.Errorf("certificate stands under %q with %v", entry.Type, entry.Sections)
	}
	return cert
}

func thumbprint(cert *x509.Certificate) string { return fmt.Sprintf("%X", sha1.Sum(cert.Raw)) }

// trusted returns the thumbprints in a store of trusted certificates.
func trusted(document *section, store string) []string {
	var out []string
	if s := document.at("CertificateStore", store, "System"); s != nil {
		for _, entry := range s.Sections {
			out = append(out, entry.Type)
		}
	}
	return out
}

func TestEnrolment(t *testing.T) {
	o := options()
	document := enroll(t, o, "DeviceName", "DESKTOP-1", "OSVersion", "10.0.19043.1", "EnrollmentType", "Full", "HWDevID", "ffff")
	k := keys()
	cert := clientCertificate(t, document, "User")
	if cert.Subject.CommonName != "enrollment-1" || !slices.Equal(cert.Subject.Organization, []string{identity.Organization}) {
		t.Errorf("subject %v", cert.Subject)
	}
	if !k.newKey.PublicKey.Equal(cert.PublicKey) || cert.CheckSignatureFrom(k.active.Cert) != nil || len(cert.DNSNames)+len(cert.URIs) != 0 {
		t.Errorf("another key, issuer %v, or names", cert.Issuer)
	}
	if !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) || cert.SerialNumber.BitLen() < 100 {
		t.Errorf("usage %v, serial number of %d bits", cert.ExtKeyUsage, cert.SerialNumber.BitLen())
	}
	if !cert.NotAfter.Equal(inSpring.Add(365*day)) || cert.NotBefore.After(inSpring.Add(-5*time.Minute)) || cert.NotBefore.Before(inSpring.Add(-time.Hour)) {
		t.Errorf("valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}
	if roots := trusted(document, "Root"); !slices.Equal(roots, []string{thumbprint(k.active.Cert)}) {
		t.Errorf("roots %v", roots)
	}
	spki, err := x509.MarshalPKIXPublicKey(k.newKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	claim := o.Fleet.(*enroller).claim
	if claim.DeviceID != deviceID || claim.Facts.UDID != deviceID || claim.Facts.DeviceName != "DESKTOP-1" || claim.Facts.OSVersion != "10.0.19043.1" ||
		claim.PublicKeySHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("claim %+v", claim)
	}
}

func TestTheAccountOfAnEnrolment(t *testing.T) {
	o := options()
	document := enroll(t, o)
	app := document.at("APPLICATION")
	for name, want := range map[string]string{
		"APPID": "w7", "PROVIDER-ID": "KubeMDM", "NAME": "Example & Sons", "ADDR": "https://mdm.example.com/api/mdm/microsoft/management",
		"SSLCLIENTCERTSEARCHCRITERIA": "Subject=CN%3Denrollment-1%2CO%3DKubeMDM%20device%20identity&Stores=My%5CUser",
	} {
		if got := app.parm(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	nonce := base64.StdEncoding.EncodeToString(identity.DigestNonce("digest-secret", inSpring))
	levels := map[string]string{}
	for _, auth := range app.Sections {
		levels[auth.parm("AAUTHLEVEL")] = auth.parm("AAUTHTYPE") + " " + auth.parm("AAUTHNAME") + " " + auth.parm("AAUTHSECRET") + " " + auth.parm("AAUTHDATA")
	}
	if levels["APPSRV"] != "DIGEST enrollment-1 digest-secret "+nonce || levels["CLIENT"] != "DIGEST KubeMDM digest-secret "+nonce {
		t.Errorf("credentials %v", levels)
	}
	client := document.at("DMClient", "Provider", "KubeMDM")
	if client.parm("EntDMID") != "enrollment-1" || client.parm("RequireMessageSigning") != "" ||
		client.at("Poll").parm("IntervalForRemainingScheduledRetries") != "480" || client.at("Poll").parm("NumberOfRemainingScheduledRetries") != "0" {
		t.Errorf("client %+v", client)
	}
	renew := document.at("CertificateStore", "My", "WSTEP", "Renew")
	if renew.parm("ROBOSupport") != "true" || renew.parm("RenewPeriod") != "42" || renew.parm("RetryInterval") != "7" {
		t.Errorf("renewal %+v", renew)
	}
}

func TestWhatTheConfigurationChanges(t *testing.T) {
	o := options()
	o.Config.Windows.ManagementHost = "manage.example.com:8443"
	o.Config.Windows.Authentication.Require = serverconfig.RequireSignature
	o.Config.Windows.Identity.RenewBefore = serverconfig.Duration(3 * day)
	document := enroll(t, o, "EnrollmentType", "Device")
	clientCertificate(t, document, "System")
	if addr := document.at("APPLICATION").parm("ADDR"); addr != "https://manage.example.com:8443/api/mdm/microsoft/management" {
		t.Errorf("management at %q", addr)
	}
	if document.at("DMClient", "Provider", "KubeMDM").parm("RequireMessageSigning") != "true" {
		t.Error("signing is required, and the device is not told")
	}
	if renew := document.at("CertificateStore", "My", "WSTEP", "Renew"); renew.parm("RenewPeriod") != "3" || renew.parm("RetryInterval") != "3" {
		t.Errorf("renewal %+v: a device never retries later than its period", renew)
	}
}

// Windows takes no second root: the CA of the server's own certificate is not among what it is to trust.
func TestTrustInTheServersCertificate(t *testing.T) {
	o := options()
	o.Config.TrustAnchor = true
	if roots := trusted(enroll(t, o), "Root"); len(roots) != 1 {
		t.Errorf("roots %v", roots)
	}
}

func TestWhatADeviceSaysIsBounded(t *testing.T) {
	o := options()
	enroll(t, o, "DeviceName", strings.Repeat("é", 1000), "OSVersion", strings.Repeat("1", 1000))
	if facts := o.Fleet.(*enroller).claim.Facts; facts.DeviceName != strings.Repeat("é", 128) || len(facts.OSVersion) != 256 {
		t.Errorf("facts %+v", facts)
	}
}

// A device that lost the answer asks again, perhaps when the next generation is active; the certificate is the one from before.
func TestAnEarlierAnswerComesWithItsOwnIssuer(t *testing.T) {
	k, o := keys(), options()
	o.Fleet = &enroller{earlier: k.device.Cert.Raw}
	document := enroll(t, o)
	if !bytes.Equal(clientCertificate(t, document, "User").Raw, k.device.Cert.Raw) {
		t.Error("it is another certificate")
	}
	if roots := trusted(document, "Root"); !slices.Equal(roots, []string{thumbprint(k.old.Cert)}) {
		t.Errorf("roots %v", roots)
	}
}

func TestNoGenerationIssues(t *testing.T) {
	k, o := keys(), options()
	o.CAs = func() []identity.CA { return []identity.CA{k.old, k.next} }
	request := tokenRequest("Issue", k.request, "DeviceID", deviceID)
	if subcode, errorType, _ := faultOf(t, post(t, o, enrollPath, envelope(password("token"), request))); subcode != "s:enrollmentserver" || errorType != "InMaintenance" {
		t.Errorf("fault %q %q", subcode, errorType)
	}
}
