package profile_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"path/filepath"
	"testing"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/apple/profile"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
	"github.com/kubemdm/kubemdm/test/golden"
)

var enrollment = profile.Enrollment{
	Params: fleet.EnrollmentParams{
		PayloadIdentifier: "io.kubemdm.fleet.server.enroll",
		ServerURL:         "https://mdm.example.com/apple/command",
		CheckInURL:        "https://mdm.example.com/apple/checkin",
		Topic:             "com.apple.mgmt.External.e0bd1eac",
		AccessRights:      8191,
	},
	Organization: "Example & Sons",
	SCEPURL:      "https://mdm.example.com/scep",
	EnrollmentID: "enrollment-1",
	Challenge:    "one-time",
}

func TestEnrollmentProfile(t *testing.T) {
	anchored := enrollment
	anchored.Anchors = []*x509.Certificate{
		{Raw: []byte("root"), RawIssuer: []byte("a"), RawSubject: []byte("a")},
		{Raw: []byte("intermediate"), RawIssuer: []byte("a"), RawSubject: []byte("b")},
	}
	for name, e := range map[string]profile.Enrollment{"enrollment": enrollment, "enrollment_anchored": anchored} {
		t.Run(name, func(t *testing.T) {
			got, err := e.Render()
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join("testdata", name+".mobileconfig"), got)
		})
	}
}

// A device compares: two profiles of one server may differ in nothing that it remembers, and in no UUID.
func TestARenewalDiffersInTheChallengeAlone(t *testing.T) {
	renewal := enrollment
	renewal.Challenge = "another"
	first, err := enrollment.Render()
	if err != nil {
		t.Fatal(err)
	}
	second, err := renewal.Render()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.Replace(first, []byte("one-time"), []byte("another"), 1), second) {
		t.Errorf("first:\n%s\nrenewal:\n%s", first, second)
	}
}

func TestSign(t *testing.T) {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	serving := identitytest.Issue(t, ca, "mdm.example.com")
	signed, err := profile.Sign([]byte("content"), &tls.Certificate{
		Certificate: [][]byte{serving.Cert.Raw, ca.Cert.Raw},
		PrivateKey:  serving.Key,
	})
	if err != nil {
		t.Fatal(err)
	}
	p7, err := pkcs7.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	if err := p7.VerifyWithChain(roots); err != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
	if !bytes.Equal(p7.Content, []byte("content")) || len(p7.Certificates) != 2 {
		t.Errorf("content %q, %d certificates", p7.Content, len(p7.Certificates))
	}
	if digest := p7.Signers[0].DigestAlgorithm.Algorithm; !digest.Equal(pkcs7.OIDDigestAlgorithmSHA256) {
		t.Errorf("digest algorithm %v", digest)
	}
}

func TestNothingToSignWith(t *testing.T) {
	for _, cert := range []*tls.Certificate{nil, {}} {
		if _, err := profile.Sign(nil, cert); !errors.Is(err, profile.ErrNoCertificate) {
			t.Errorf("error %v", err)
		}
	}
}
