package ade_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/kubemdm/kubemdm/internal/ade"
)

const account = `{"server_name":"MDM","server_uuid":"677cab70","org_name":"Example","org_email":"it@example.com","org_phone":"1","org_address":"Here",
	"org_id":100000,"org_type":"org","facilitator_id":"jane@example.com"}`

func TestAccount(t *testing.T) {
	s := newService(t)
	s.on("GET /account", ok(account))
	got, err := s.client().Account(t.Context())
	must(t, err)
	want := ade.Account{
		ServerName: "MDM", ServerUUID: "677cab70", OrganizationName: "Example", OrganizationEmail: "it@example.com", OrganizationPhone: "1",
		OrganizationAddress: "Here", OrganizationID: "100000", OrganizationType: "org", AdminID: "jane@example.com",
	}
	if got != want {
		t.Errorf("%+v", got)
	}
	for _, r := range s.asked {
		if r.header.Get("User-Agent") != "kubemdm/test" || r.header.Get("X-Server-Protocol-Version") != "10" {
			t.Errorf("%s: %v", r.what, r.header)
		}
	}
	if auth := s.asked[0].header.Get("Authorization"); !strings.Contains(auth, token.ConsumerKey) || strings.Contains(auth, token.ConsumerSecret) {
		t.Error(auth)
	}
}

func TestOneSessionForAllCalls(t *testing.T) {
	s := newService(t)
	s.on("GET /account", ok(account))
	c := s.client()
	for range 2 {
		_, err := c.Account(t.Context())
		must(t, err)
	}
	if got := s.calls(); got != "GET /session, GET /account s1, GET /account s1" {
		t.Error(got)
	}
}

func TestSessionsAreRenewedOnce(t *testing.T) {
	for name, over := range map[string]answer{"401": {status: 401}, "FORBIDDEN": fault(403, "FORBIDDEN")} {
		s := newService(t)
		s.on("PUT /profile/devices", ok(`{"devices":{"C1":"SUCCESS"}}`), over, ok(`{"devices":{"C2":"SUCCESS"}}`), over)
		c := s.client()
		for _, serial := range []string{"C1", "C2"} {
			got, err := c.Assign(t.Context(), "p", []string{serial})
			if err != nil || got[serial] != ade.Success {
				t.Errorf("%s: %v %v", name, got, err)
			}
		}
		const put = "PUT /profile/devices"
		if got, want := s.calls(), fmt.Sprintf("GET /session, %s s1, %s s1, GET /session, %s s2", put, put, put); got != want {
			t.Errorf("%s: %s", name, got)
		}
		if first, second := s.asked[2].body, s.asked[4].body; first != second || !strings.Contains(first, "C2") {
			t.Errorf("%s: %s, and then %s", name, first, second)
		}
		_, err := c.Assign(t.Context(), "p", []string{"C3"})
		if f := failure(t, err); f.Kind != ade.Revoked {
			t.Errorf("%s: %v %s", name, f.Kind, f)
		}
		if got := strings.Count(s.calls(), "GET /session"); got != 3 {
			t.Errorf("%s: %d sessions", name, got)
		}
	}
}

func TestSessionsRotate(t *testing.T) {
	s := newService(t)
	rotate := func(to string) http.Header { return http.Header{"X-Adm-Auth-Session": {to}} }
	s.on("GET /account", answer{body: account, header: rotate("r1")}, answer{status: 400, body: `"X"`, header: rotate("r2")}, ok(account))
	c := s.client()
	for range 3 {
		_, _ = c.Account(t.Context())
	}
	if got := s.calls(); got != "GET /session, GET /account s1, GET /account r1, GET /account r2" {
		t.Error(got)
	}
}

func TestManyCallersHaveOneSession(t *testing.T) {
	s := newService(t)
	s.on("GET /account", ok(account))
	c := s.client()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := c.Account(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := strings.Count(s.calls(), "GET /session"); got != 1 {
		t.Errorf("%d sessions", got)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	silent := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(begun); <-release }))
	defer silent.Close()
	defer close(release)
	c, err := ade.New(token, ade.Options{URL: silent.URL, Roots: trust(silent)})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := c.Account(ctx)
		first <- err
	}()
	<-begun
	waiting, giveUp := context.WithCancel(t.Context())
	giveUp()
	_, err = c.Account(waiting) // it is not its turn
	if f := failure(t, err); f.Kind != ade.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("%s %v", f.Kind, f)
	}
	cancel()
	err = <-first
	if f := failure(t, err); f.Kind != ade.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("%s %v", f.Kind, f)
	}
}

func TestNew(t *testing.T) {
	for _, address := range []string{
		"http://mdm.example.com", "https://", "https://mdm.example.com/dep", "https://user:hidden@mdm.example.com", "https://x?y=z", "::",
	} {
		if _, err := ade.New(token, ade.Options{URL: address}); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"", "https://mdm.example.com", "https://mdm.example.com:8443/"} {
		if _, err := ade.New(token, ade.Options{URL: address}); err != nil {
			t.Error(err)
		}
	}
	half := token
	half.AccessSecret = ""
	var refusal *ade.Refusal
	if _, err := ade.New(half, ade.Options{}); !errors.As(err, &refusal) || refusal.Reason != ade.ReasonTokenIncomplete {
		t.Error(err)
	}
}

func TestRedirectsTakeTheSessionNowhere(t *testing.T) {
	elsewhere, s := newService(t), newService(t)
	elsewhere.on("GET /account", ok(account))
	s.on("GET /account", answer{status: 307, header: http.Header{"Location": {elsewhere.URL + "/account"}}})
	_, err := s.client().Account(t.Context())
	if f := failure(t, err); f.Kind != ade.Unavailable || !strings.Contains(f.Message, "elsewhere") {
		t.Errorf("%s %v", f.Kind, f)
	}
	if got := elsewhere.calls(); got != "" {
		t.Error(got)
	}
}
