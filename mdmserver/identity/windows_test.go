package identity_test

import (
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/identity/identitytest"
)

// digestAt is the credential of the device "enrollment-1" with the nonce of that time.
func digestAt(t testing.TB, at time.Time) *identity.Cred {
	t.Helper()
	return &identity.Cred{Type: identity.DigestMD5, Data: md5Digest("enrollment-1", "open sesame", identity.DigestNonce("open sesame", at))}
}

var credentials = &fleet.DigestCredentials{Identity: fleet.Identity{EnrollmentID: "enrollment-1", Fingerprint: "in use"}, Secret: "open sesame"}

// house is a server's CA and two devices of it.
type house struct {
	ca          identity.CA
	device, two identitytest.Device
}

func newHouse(t testing.TB) house {
	ca := identitytest.CA(t, 1, serverconfig.RoleActive)
	return house{ca: ca, device: identitytest.Issue(t, ca, "enrollment-1"), two: identitytest.Issue(t, ca, "enrollment-2")}
}

func (h house) windows(t testing.TB, now time.Time, require serverconfig.Require) *identity.Windows {
	t.Helper()
	w, err := identity.NewWindows(identity.Options{
		CAs: func() []identity.CA { return []identity.CA{h.ca} },
		Now: func() time.Time { return now },
		Log: slog.New(slog.DiscardHandler),
	}, serverconfig.Authentication{Require: require, TrustedProxies: []string{"10.0.0.0/8", "2001:db8::/32"}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var (
	body    = []byte("<SyncML/>")
	proxy   = netip.MustParseAddr("10.1.2.3")
	outside = netip.MustParseAddr("192.0.2.1")
)

func forwarded(cert *x509.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(cert.Raw) + ":"
}

func TestTheStrongestProofIsTheIdentity(t *testing.T) {
	h := newHouse(t)
	signature := h.device.Sign(t, body)
	for name, tc := range map[string]struct {
		evidence identity.Evidence
		by       adminapi.ManagementAuthentication
	}{
		"digest":                   {identity.Evidence{Cred: digestAt(t, inSpring), Credentials: credentials}, adminapi.AuthDigest},
		"digest, last nonce":       {identity.Evidence{Cred: digestAt(t, inSpring.Add(-5*time.Minute)), Credentials: credentials}, adminapi.AuthDigest},
		"forwarded":                {identity.Evidence{Header: http.Header{"Client-Cert": {forwarded(h.device.Cert)}}, Peer: proxy}, adminapi.AuthForwarded},
		"forwarded over IPv6":      {identity.Evidence{Header: http.Header{"Client-Cert": {forwarded(h.device.Cert)}}, Peer: netip.MustParseAddr("2001:db8::7")}, adminapi.AuthForwarded},
		"forwarded without filler": {identity.Evidence{Header: http.Header{"Client-Cert": {strings.ReplaceAll(forwarded(h.device.Cert), "=", "")}}, Peer: proxy}, adminapi.AuthForwarded},
		"mutual TLS":               {identity.Evidence{TLS: h.device.Cert}, adminapi.AuthMutualTLS},
		"MDM-Signature":            {identity.Evidence{Header: http.Header{"Mdm-Signature": {signature}}, Body: body}, adminapi.AuthSignature},
		"MS-Signature":             {identity.Evidence{Header: http.Header{"Ms-Signature": {signature}}, Body: body}, adminapi.AuthSignature},
		"all of them": {identity.Evidence{Header: http.Header{"Ms-Signature": {signature}, "Client-Cert": {forwarded(h.device.Cert)}}, Body: body, Peer: proxy,
			TLS: h.device.Cert, Cred: digestAt(t, inSpring), Credentials: credentials}, adminapi.AuthSignature},
	} {
		t.Run(name, func(t *testing.T) {
			id, by, err := h.windows(t, inSpring, serverconfig.RequireDigest).Identify(tc.evidence)
			if err != nil || by != tc.by || id.EnrollmentID != "enrollment-1" {
				t.Errorf("got %+v by %s, %v", id, by, err)
			}
			if by == adminapi.AuthDigest && id != credentials.Identity {
				t.Errorf("a digest proves %+v, want the identity in use", id)
			}
		})
	}
}

func TestAWrongProofIsRefusedWhateverElseThereIs(t *testing.T) {
	h := newHouse(t)
	stranger := identitytest.Issue(t, identitytest.CA(t, 1, serverconfig.RoleActive), "enrollment-1")
	good := h.device.Sign(t, body)
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	for name, tc := range map[string]struct {
		spoil func(*identity.Evidence)
		now   time.Time
		want  string
	}{
		"signature of another body": {spoil: func(e *identity.Evidence) {
			e.Header = header("Ms-Signature", h.device.Sign(t, []byte("<SyncML></SyncML>")))
		}, want: "Signature"},
		"signature of a stranger": {spoil: func(e *identity.Evidence) { e.Header = header("Mdm-Signature", stranger.Sign(t, body)) }, want: "Signature"},
		"empty signature":         {spoil: func(e *identity.Evidence) { e.Header = header("Ms-Signature", "") }, want: "Signature"},
		"two signatures":          {spoil: func(e *identity.Evidence) { e.Header = http.Header{"Ms-Signature": {good}, "Mdm-Signature": {good}} }, want: "more than one"},
		"stranger in TLS":         {spoil: func(e *identity.Evidence) { e.TLS = stranger.Cert }, want: "MutualTLS"},
		"expired certificate":     {spoil: func(e *identity.Evidence) { e.TLS = h.device.Cert }, now: h.device.Cert.NotAfter.Add(time.Second), want: "MutualTLS"},
		"header from outside": {spoil: func(e *identity.Evidence) {
			e.Header, e.Peer = header("Client-Cert", forwarded(h.device.Cert)), outside
		}, want: "no trusted proxy"},
		"header from nowhere": {spoil: func(e *identity.Evidence) {
			e.Header, e.Peer = header("Client-Cert", forwarded(h.device.Cert)), netip.Addr{}
		}, want: "no trusted proxy"},
		"stranger forwarded": {spoil: func(e *identity.Evidence) { e.Header, e.Peer = header("Client-Cert", forwarded(stranger.Cert)), proxy }, want: "Forwarded"},
		"two certificates forwarded": {spoil: func(e *identity.Evidence) {
			e.Header, e.Peer = http.Header{"Client-Cert": {forwarded(h.device.Cert), forwarded(h.two.Cert)}}, proxy
		}, want: "byte sequence"},
		"PEM forwarded": {spoil: func(e *identity.Evidence) {
			e.Header, e.Peer = header("Client-Cert", "-----BEGIN CERTIFICATE-----"), proxy
		}, want: "byte sequence"},
		"another secret": {spoil: func(e *identity.Evidence) {
			e.Cred.Data = md5Digest("enrollment-1", "guess", identity.DigestNonce("open sesame", inSpring))
		}, want: "digest is wrong"},
		"another user": {spoil: func(e *identity.Evidence) {
			e.Cred.Data = md5Digest("enrollment-2", "open sesame", identity.DigestNonce("open sesame", inSpring))
		}, want: "digest is wrong"},
		"an old nonce":                     {spoil: func(e *identity.Evidence) { e.Cred = digestAt(t, inSpring.Add(-10*time.Minute)) }, want: "digest is wrong"},
		"a nonce to come":                  {spoil: func(e *identity.Evidence) { e.Cred = digestAt(t, inSpring.Add(5*time.Minute)) }, want: "digest is wrong"},
		"an empty digest":                  {spoil: func(e *identity.Evidence) { e.Cred.Data = "" }, want: "digest is wrong"},
		"user and password":                {spoil: func(e *identity.Evidence) { e.Cred.Type = "syncml:auth-basic" }, want: "no MD5 digest"},
		"a device that is not enrolled":    {spoil: func(e *identity.Evidence) { e.Credentials = nil }, want: "not enrolled"},
		"another device's certificate too": {spoil: func(e *identity.Evidence) { e.TLS = h.two.Cert }, want: "different enrolments"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.now.IsZero() {
				tc.now = inSpring
			}
			e := identity.Evidence{Body: body, Header: http.Header{}, Cred: digestAt(t, tc.now), Credentials: credentials}
			tc.spoil(&e)
			id, by, err := h.windows(t, tc.now, serverconfig.RequireDigest).Identify(e)
			if err == nil || !strings.Contains(err.Error(), tc.want) || id != (fleet.Identity{}) || by != "" {
				t.Errorf("got %+v by %s, %v; want a refusal with %q", id, by, err, tc.want)
			}
		})
	}
}

func TestAProofMustBeAsStrongAsRequired(t *testing.T) {
	h := newHouse(t)
	proofs := map[adminapi.ManagementAuthentication]identity.Evidence{
		"":                     {},
		adminapi.AuthDigest:    {Cred: digestAt(t, inSpring), Credentials: credentials},
		adminapi.AuthForwarded: {Header: http.Header{"Client-Cert": {forwarded(h.device.Cert)}}, Peer: proxy},
		adminapi.AuthMutualTLS: {TLS: h.device.Cert},
		adminapi.AuthSignature: {Header: http.Header{"Ms-Signature": {h.device.Sign(t, body)}}, Body: body},
	}
	for require, accepted := range map[serverconfig.Require]string{
		serverconfig.RequireDigest:      "Digest ForwardedCertificate MutualTLS Signature",
		serverconfig.RequireCertificate: "ForwardedCertificate MutualTLS Signature",
		serverconfig.RequireSignature:   "Signature",
		"":                              "nothing",
	} {
		for proof, evidence := range proofs {
			_, by, err := h.windows(t, inSpring, require).Identify(evidence)
			if want := proof != "" && strings.Contains(accepted, string(proof)); (err == nil) != want || err == nil && by != proof {
				t.Errorf("%s where %q is required: by %q, %v", proof, require, by, err)
			}
		}
	}
}

func TestTrustedProxiesAreNetworks(t *testing.T) {
	_, err := identity.NewWindows(identity.Options{}, serverconfig.Authentication{TrustedProxies: []string{"10.0.0.1"}})
	if err == nil || !strings.Contains(err.Error(), "trustedProxies") {
		t.Errorf("got %v", err)
	}
}

// A nonce tells neither the secret nor that of another device, and changes.
func TestNoncesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, secret := range []string{"a", "b"} {
		for _, at := range []time.Time{inSpring, inSpring.Add(5 * time.Minute)} {
			seen[string(identity.DigestNonce(secret, at))] = true
		}
	}
	if len(seen) != 4 || seen[string(identity.DigestNonce("a", inSpring.Add(time.Hour)))] {
		t.Errorf("%d different nonces", len(seen))
	}
}

// FuzzClientCert: only the certificate of the CA is believed, whatever a proxy sends.
func FuzzClientCert(f *testing.F) {
	h := newHouse(f)
	w := h.windows(f, inSpring, serverconfig.RequireDigest)
	f.Add(forwarded(h.device.Cert))
	f.Add("::")
	f.Add(":AAAA:;a=b")
	f.Fuzz(func(t *testing.T, value string) {
		id, _, err := w.Identify(identity.Evidence{Header: http.Header{"Client-Cert": {value}}, Peer: proxy})
		if err == nil && id.EnrollmentID != "enrollment-1" {
			t.Fatalf("believed %q", value)
		}
	})
}

// FuzzMSSignature: only the signature made here is believed.
func FuzzMSSignature(f *testing.F) {
	h := newHouse(f)
	w := h.windows(f, inSpring, serverconfig.RequireDigest)
	f.Add(h.device.Sign(f, body))
	f.Add("MIAGCSqGSIb3DQEHAqCA")
	f.Fuzz(func(t *testing.T, value string) {
		id, _, err := w.Identify(identity.Evidence{Header: http.Header{"Ms-Signature": {value}}, Body: body})
		if err == nil && id.EnrollmentID != "enrollment-1" {
			t.Fatalf("believed %q", value)
		}
	})
}
