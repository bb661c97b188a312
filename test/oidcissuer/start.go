package oidcissuer

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Start serves an issuer over TLS until the test ends, at an address that it puts into the configuration. ca is the certificate (PEM) to trust.
func Start(t testing.TB, c Config) (issuer *Issuer, ca []byte) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	c.URL = "https://" + server.Listener.Addr().String()
	issuer, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = issuer
	server.StartTLS()
	t.Cleanup(server.Close)
	return issuer, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// URL is the issuer's.
func (i *Issuer) URL() string { return i.config.URL }

// Fill makes the request that sends the form of the sign-in page back; button is the name of the one that was pressed if it is not that to sign in.
func Fill(ctx context.Context, form *url.URL, username, password, button string) (*http.Request, error) {
	fields := url.Values{FieldUsername: {username}, FieldPassword: {password}}
	if button != "" {
		fields.Set(button, "1")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, form.String(), strings.NewReader(fields.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r, nil
}
