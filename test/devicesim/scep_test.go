package devicesim_test

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/scep"

	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/pki"
)

func TestSCEPRetries(t *testing.T) {
	s := newServer(t)
	for name, test := range map[string]struct {
		newKey bool
		lost   int
		issued int
		sameAs bool
	}{
		"same key":    {lost: 2, issued: 3, sameAs: true},
		"another key": {newKey: true, lost: 1, issued: 2},
		"gives up":    {lost: 3, issued: 3, sameAs: true},
	} {
		t.Run(name, func(t *testing.T) {
			s.issued = nil
			network := &devicesim.Network{Next: devicesim.NewClient(s.roots()).Transport}
			network.LoseNext(test.lost, devicesim.LoseReply, func(r *http.Request) bool { return r.Method == http.MethodPost })
			mac := newDevice(t, s, func(o *devicesim.Options) {
				o.Client, o.NewKeyOnRetry = &http.Client{Transport: network}, test.newKey
			})
			err := mac.Enroll(t.Context(), s.URL+"/enroll")
			if gaveUp := errors.Is(err, devicesim.ErrNetwork); gaveUp != (test.lost > 2) {
				t.Fatal(err)
			}
			if len(s.issued) != test.issued {
				t.Fatalf("asked %d times, not %d", len(s.issued), test.issued)
			}
			first, last := s.issued[0].PublicKey.(*rsa.PublicKey), s.issued[len(s.issued)-1].PublicKey
			if first.Equal(last) != test.sameAs {
				t.Errorf("retried with the same key: %v", !test.sameAs)
			}
		})
	}
}

func TestSCEPChecksReplies(t *testing.T) {
	strangersKey := pki.NewIdentityCA(t, "stranger").Key.Public()
	for name, test := range map[string]struct {
		caps  string
		forge func(request *scep.PKIMessage, certificate *x509.Certificate)
		want  string
	}{
		"no AES":              {caps: "SHA-256\nPOSTPKIOperation", want: "does not offer AES"},
		"no SHA-256":          {caps: "AES\nPOSTPKIOperation", want: "does not offer SHA-256"},
		"another transaction": {forge: func(r *scep.PKIMessage, _ *x509.Certificate) { r.TransactionID = "x" }, want: "another transaction"},
		"another nonce":       {forge: func(r *scep.PKIMessage, _ *x509.Certificate) { r.SenderNonce = make([]byte, 16) }, want: "another nonce"},
		"expired":             {forge: func(_ *scep.PKIMessage, c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }, want: "expired"},
		"for servers": {
			forge: func(_ *scep.PKIMessage, c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			},
			want: "not usable",
		},
		"for another key": {
			forge: func(_ *scep.PKIMessage, c *x509.Certificate) { c.PublicKey = strangersKey },
			want:  "another key",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			if test.caps != "" {
				s.caps = test.caps
			}
			if test.forge != nil {
				s.forge = test.forge
			}
			mac := newDevice(t, s, nil)
			err := mac.Enroll(t.Context(), s.URL+"/enroll")
			if err == nil || !strings.Contains(err.Error(), test.want) || mac.Enrolled() || len(s.issued) > 1 {
				t.Errorf("enrolled %v after %d requests: %v", mac.Enrolled(), len(s.issued), err)
			}
		})
	}
}

func TestSCEPByGET(t *testing.T) {
	s := newServer(t)
	s.caps = "AES\nSHA-256"
	if mac := enrolled(t, s, nil); !mac.Enrolled() {
		t.Error("a server without POSTPKIOperation takes requests by GET")
	}
}

func TestRefusedChallengeIsNotRepeated(t *testing.T) {
	s := newServer(t)
	var posts int
	s.profile = func() []byte { return s.enrolment(func(_, scep map[string]any) { scep["Challenge"] = "guess" }) }
	mac := newDevice(t, s, func(o *devicesim.Options) {
		o.Client = &http.Client{Transport: counter{&posts, devicesim.NewClient(s.roots()).Transport}}
	})
	refused := new(devicesim.SCEPFailure)
	if err := mac.Enroll(t.Context(), s.URL+"/enroll"); !errors.As(err, &refused) || refused.Info != scep.BadRequest || posts != 1 {
		t.Errorf("asked %d times: %v", posts, err)
	}
}

// counter counts POST requests.
type counter struct {
	posts *int
	next  http.RoundTripper
}

func (c counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		*c.posts++
	}
	return c.next.RoundTrip(r)
}
