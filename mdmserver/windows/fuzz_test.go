package windows_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/mdmserver/windows/csr/csrtest"
)

// FuzzEnroll feeds what stands in the two tokens of a request. Nothing but a request that is signed enrols, whatever the credential.
func FuzzEnroll(f *testing.F) {
	k := keys()
	handler := enrollmentHandler(f, options())
	f.Add([]byte(`{"type":1,"payload":{"orbit_node_key":"key"}}`), k.request[:40])
	f.Add([]byte("ticket"), csrtest.Renewal(f, k.fresh, k.request)[:400])
	f.Add([]byte{'{'}, []byte{0x30, 0x80, 0x06, 0x00})
	f.Fuzz(func(t *testing.T, credential, request []byte) {
		message := envelope(binary(string(credential)), tokenRequest("Issue", request, "DeviceID", deviceID))
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, enrollPath, strings.NewReader(message)))
		subcode, _, _ := faultOf(t, rec.Body.String())
		if rec.Code != http.StatusOK || subcode == "a:internalservicefault" {
			t.Errorf("status %d, fault %q", rec.Code, subcode)
		}
	})
}

// FuzzCallback feeds the cookie and the query that a browser comes back with. No ticket comes of what the server did not seal.
func FuzzCallback(f *testing.F) {
	o := options()
	o.Config.Windows.SignIn = signingIn()
	handler := enrollmentHandler(f, o)
	f.Add([]byte("0123456789012345678901234567"), "code=x&state=y")
	f.Add([]byte{}, "error=access_denied")
	f.Fuzz(func(t *testing.T, cookie []byte, query string) {
		r := httptest.NewRequest(http.MethodGet, "/api/mdm/microsoft/signin/callback", nil)
		r.URL = &url.URL{Path: r.URL.Path, RawQuery: query}
		r.AddCookie(&http.Cookie{Name: "__Host-kubemdm-signin", Value: base64.RawURLEncoding.EncodeToString(cookie)})
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if rec.Code != http.StatusBadRequest {
			t.Errorf("status %d", rec.Code)
		}
	})
}
