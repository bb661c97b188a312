package apple_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/mdmserver/apple"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

const enrollURL = "/enroll/s3cr3t-token"

func get(t *testing.T, o apple.Options, f *fakeFleet, method, url string) *httptest.ResponseRecorder {
	t.Helper()
	return serve(t, o, f, httptest.NewRequest(method, url, nil))
}

func TestTheEnrolmentProfileIsSignedByTheServer(t *testing.T) {
	f := &fakeFleet{}
	res := get(t, server(), f, http.MethodGet, enrollURL)
	if res.Code != http.StatusOK || res.Header().Get("Content-Type") != "application/x-apple-aspen-config" || res.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, headers %v", res.Code, res.Header())
	}
	p7, err := pkcs7.Parse(res.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(credentials().other.Cert)
	if err := p7.VerifyWithChain(roots); err != nil {
		t.Error(err)
	}
	unsigned := get(t, server(), f, http.MethodGet, enrollURL+"?unsigned=1").Body.String()
	if string(p7.Content) != unsigned {
		t.Errorf("signed:\n%s\nunsigned:\n%s", p7.Content, unsigned)
	}
}

func TestTheEnrolmentProfileSaysWhatFleetRemembers(t *testing.T) {
	f := &fakeFleet{}
	body := get(t, server(), f, http.MethodGet, enrollURL+"?unsigned=1").Body.String()
	sum := sha256.Sum256([]byte("s3cr3t-token"))
	if f.tokenHash != hex.EncodeToString(sum[:]) {
		t.Errorf("token hash %s", f.tokenHash)
	}
	want := fleet.EnrollmentParams{
		PayloadIdentifier: "io.kubemdm.fleet.server.enroll",
		ServerURL:         "https://mdm.example.com/apple/command",
		CheckInURL:        "https://mdm.example.com/apple/checkin",
		Topic:             topic,
		AccessRights:      8191,
	}
	if f.params != want {
		t.Errorf("params %+v, want %+v", f.params, want)
	}
	for _, s := range []string{
		want.PayloadIdentifier, want.ServerURL, want.CheckInURL, topic, "<integer>8191</integer>", "https://mdm.example.com/scep", "one-time", "enrollment-1",
	} {
		if !strings.Contains(body, s) {
			t.Errorf("the profile does not say %q:\n%s", s, body)
		}
	}
	if strings.Contains(body, "s3cr3t-token") {
		t.Error("the profile holds the token")
	}
}

func TestTheTrustAnchorIsInTheProfileOnRequest(t *testing.T) {
	for _, anchor := range []bool{false, true} {
		o := server()
		o.Config.TrustAnchor = anchor
		body := get(t, o, &fakeFleet{}, http.MethodGet, enrollURL+"?unsigned=1").Body.String()
		if got := strings.Contains(body, "com.apple.security.root"); got != anchor {
			t.Errorf("anchor wanted %v, got %v", anchor, got)
		}
	}
}

func TestHEADMintsNothing(t *testing.T) {
	f := &fakeFleet{}
	res := get(t, server(), f, http.MethodHead, enrollURL)
	if res.Code != http.StatusOK || len(f.calls) > 0 {
		t.Errorf("status %d, calls %q", res.Code, f.calls)
	}
}

func TestEnrolmentPagesExplainAndNeverTellTheToken(t *testing.T) {
	noPush, noServing, badAnchor := server(), server(), server()
	noPush.Topic = func() string { return "" }
	noServing.Serving = func() *tls.Certificate { return nil }
	badAnchor.Config.TrustAnchor = true
	badAnchor.ServingCA = func() []byte { return []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n") }
	for name, c := range map[string]struct {
		options apple.Options
		err     error
		status  int
		says    string
	}{
		"unknown token":          {server(), fleet.ErrTokenUnknown, http.StatusNotFound, "not known"},
		"expired token":          {server(), fleet.ErrTokenExpired, http.StatusGone, "expired"},
		"exhausted token":        {server(), fleet.ErrTokenExhausted, http.StatusGone, "used up"},
		"token for PCs":          {server(), fleet.ErrTokenPlatform, http.StatusForbidden, "not for Apple devices"},
		"store unavailable":      {server(), fleet.ErrUnavailable, http.StatusServiceUnavailable, "Try again"},
		"store broken":           {server(), errors.New("disk on fire"), http.StatusInternalServerError, "Internal Server Error"},
		"no push certificate":    {noPush, nil, http.StatusServiceUnavailable, "Try again"},
		"no serving certificate": {noServing, nil, http.StatusServiceUnavailable, "Try again"},
		"unreadable anchor":      {badAnchor, nil, http.StatusInternalServerError, "Internal Server Error"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			c.options.Log = slog.New(slog.NewTextHandler(&log, nil))
			res := get(t, c.options, &fakeFleet{err: c.err}, http.MethodGet, enrollURL)
			body := res.Body.String()
			if res.Code != c.status || !strings.Contains(body, c.says) || res.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("status %d, headers %v, body %q", res.Code, res.Header(), body)
			}
			if log.Len() == 0 || strings.Contains(log.String()+body, "s3cr3t") {
				t.Errorf("log %q", log.String())
			}
		})
	}
}

// A device refuses a renewal that differs from its enrolment profile in what it remembers.
func TestARenewalRepeatsTheEnrolmentToTheLetter(t *testing.T) {
	f := &fakeFleet{}
	first := get(t, server(), f, http.MethodGet, enrollURL+"?unsigned=1").Body.String()
	o := server()
	o.Config.Apple.AccessRights = 1 // changed since; the device must not see it
	o.Topic = func() string { return "com.apple.mgmt.External.another" }
	d := fleet.Delivery{CommandUUID: "0E2B4A5C", Renewal: &fleet.Renewal{Params: f.params, Challenge: "again"}}
	d.Device.EnrollmentID = "enrollment-1"
	command, err := newApple(t, o).Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	p7, err := pkcs7.Parse(payload(t, command))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(first, "one-time", "again", 1); string(p7.Content) != want {
		t.Errorf("renewal:\n%s\nwant:\n%s", p7.Content, want)
	}
}

func TestNewWantsAnApplePart(t *testing.T) {
	o := server()
	o.Config.Apple = nil
	if _, err := apple.New(o); err == nil {
		t.Error("no error")
	}
}
