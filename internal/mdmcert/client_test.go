package mdmcert_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/mdmcert"
)

const (
	apiKey = "0123456789abcdef"
	csrPEM = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
	email  = "admin@example.com"
)

var now = time.Date(2031, 3, 1, 12, 0, 0, 0, time.UTC)

// recipient is made once: keys take their time.
var recipient = func() (pair struct {
	cert, key []byte
	leaf      *x509.Certificate
}) {
	var err error
	if pair.cert, pair.key, err = mdmcert.NewRecipient(now); err != nil {
		panic(err)
	}
	block, _ := pem.Decode(pair.cert)
	if pair.leaf, err = x509.ParseCertificate(block.Bytes); err != nil {
		panic(err)
	}
	return pair
}()

func TestNewRecipient(t *testing.T) {
	leaf := recipient.leaf
	if leaf.Subject.CommonName != "mdmcert.download" || leaf.PublicKeyAlgorithm != x509.RSA {
		t.Errorf("%s with a key of %s", leaf.Subject, leaf.PublicKeyAlgorithm)
	}
	if !leaf.NotBefore.Before(now) || !leaf.NotAfter.Equal(now.AddDate(0, 0, 365)) {
		t.Errorf("valid from %s to %s", leaf.NotBefore, leaf.NotAfter)
	}
	if err := leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature); err != nil {
		t.Errorf("not signed by itself: %v", err)
	}
}

// serve runs a service and returns a client for it.
func serve(t *testing.T, handler http.HandlerFunc) mdmcert.Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return mdmcert.Client{URL: server.URL + "/api/v1/signrequest", APIKey: apiKey, HTTP: server.Client()}
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body map[string]string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{"result":"success"}`)
	})
	client.APIKey += "\n"
	if err := client.Request(t.Context(), []byte(csrPEM), email, recipient.leaf); err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPost || got.Header.Get("Content-Type") != "application/json" || got.UserAgent() != "kubemdm" {
		t.Errorf("%s with %v", got.Method, got.Header)
	}
	want := map[string]string{
		"csr": base64.StdEncoding.EncodeToString([]byte(csrPEM)), "email": email, "key": apiKey,
		"encrypt": base64.StdEncoding.EncodeToString(recipient.cert),
	}
	for field, value := range want {
		if body[field] != value {
			t.Errorf("%s is %q, want %q", field, body[field], value)
		}
	}
	if len(body) != len(want) {
		t.Errorf("%d fields", len(body))
	}
}

func TestAnswersThatAreNoSuccess(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   []string // parts of the message
	}{
		"refused":                {200, `{"result":"failure","reason":"Invalid email address."}`, []string{`it says "Invalid email address."`, "mdmcert.download/registration"}},
		"refused with a status":  {403, `{"result":"failure","reason":"Unknown key"}`, []string{"HTTP 403", `"Unknown key"`}},
		"success with a status":  {500, `{"result":"success"}`, []string{"HTTP 500", "out of order", "try again later"}},
		"without a reason":       {200, `{"result":"pending"}`, []string{`"pending"`}},
		"out of order":           {500, "", []string{"HTTP 500", "try again later"}},
		"out of order with HTML": {502, "<html>Bad gateway</html>", []string{"HTTP 502", "out of order"}},
		"a web page":             {200, "\n<!DOCTYPE html><html></html>", []string{"a web page", "proxy"}},
		"nothing":                {200, " \n", []string{"empty"}},
		"words":                  {200, "OK", []string{"not JSON"}},
		"null":                   {200, "null", []string{`the result is ""`}},
		"half of it":             {200, `{"result":"succ`, []string{"not JSON"}},
		"endless":                {200, `{"result":"success","reason":"` + strings.Repeat("a", 1<<20) + `"}`, []string{"not JSON"}},
		"not found":              {404, "", []string{"HTTP 404", "check the URL"}},
		"a long reason":          {200, `{"reason":"` + strings.Repeat("ä", 1000) + `"}`, []string{`"` + strings.Repeat("ä", 200) + `"`}},
		"control characters":     {200, `{"reason":"a\u001b[31m\nb"}`, []string{`"a [31m b"`}},
		"the key":                {200, `{"reason":"` + apiKey + ` is unknown"}`, []string{`"(API key) is unknown"`}},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			err := client.Request(t.Context(), []byte(csrPEM), email, recipient.leaf)
			var refused *mdmcert.ServiceError
			if !errors.As(err, &refused) || refused.Status != c.status || refused.Reason == "" {
				t.Fatalf("error %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), apiKey) {
				t.Errorf("the API key is in: %v", err)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") })
	for name, c := range map[string]struct {
		to      string
		status  int
		refused bool
	}{
		"another host":                {elsewhere.URL, http.StatusTemporaryRedirect, true},
		"the same host":               {"/moved", http.StatusTemporaryRedirect, false},
		"the same host, without body": {"/moved", http.StatusFound, true},
		"for ever":                    {"/api/v1/signrequest", http.StatusPermanentRedirect, true},
	} {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/moved" {
					_, _ = io.WriteString(w, `{"result":"success"}`)
					return
				}
				http.Redirect(w, r, c.to, c.status)
			})
			err := client.Request(t.Context(), []byte(csrPEM), email, recipient.leaf)
			var refusal *mdmcert.ServiceError
			switch {
			case !c.refused && err != nil:
				t.Error(err)
			case c.refused && (!errors.As(err, &refusal) || refusal.Status != c.status || !strings.Contains(err.Error(), "check the URL")):
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestAServiceThatDoesNotAnswer(t *testing.T) {
	asked := make(chan struct{})
	client := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices that its client has gone once it has read the body
		close(asked)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(context.DeadlineExceeded)
	}()
	if err := client.Request(ctx, []byte(csrPEM), email, recipient.leaf); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestNothingIsSentWithoutAnAPIKey(t *testing.T) {
	client := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the service was asked") })
	for _, key := range []string{"", " \n"} {
		client.APIKey = key
		if err := client.Request(t.Context(), []byte(csrPEM), email, recipient.leaf); !errors.Is(err, mdmcert.ErrNoAPIKey) {
			t.Errorf("with the key %q: %v", key, err)
		}
	}
}
