package windows

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// refusedPages are what people read instead of being signed in; what is not in it is the server's own fault.
var refusedPages = []struct {
	err    error
	status int
	text   string
}{
	{errReturn, http.StatusBadRequest, "Windows opens this page when you add a work or school account. It does nothing in a browser."},
	{errAttempt, http.StatusBadRequest, "The sign-in took too long or began in another window. Start again."},
	{errDenied, http.StatusForbidden, "The sign-in was cancelled or refused. Start again, or ask your administrator."},
	{errAddress, http.StatusForbidden, "Your account may not enrol devices here. Ask your administrator."},
	{fleet.ErrTokenUnusable, http.StatusForbidden, "Nobody can enrol by signing in right now. Ask your administrator."},
	{errAnswer, http.StatusBadGateway, "The sign-in service gave an answer that cannot be trusted. Ask your administrator."},
	{errIssuer, http.StatusBadGateway, "The sign-in service cannot be reached. Try again in a few minutes."},
	{fleet.ErrUnavailable, http.StatusServiceUnavailable, "The server cannot enrol devices right now. Try again in a few minutes."},
	{nil, http.StatusInternalServerError, "The server failed. Give the trace id to your administrator."},
}

// page serves a step of the sign-in, or the page that says why it was refused.
func (s *signIn) page(step func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Cache-Control", "no-store")
		rw.Header().Set("Referrer-Policy", "no-referrer") // the addresses hold codes
		rw.Header().Set("X-Content-Type-Options", "nosniff")
		if err := step(rw, r); err != nil {
			s.refused(rw, r, err)
		}
	}
}

func (s *signIn) refused(rw http.ResponseWriter, r *http.Request, err error) {
	i := 0
	for i < len(refusedPages)-1 && !errors.Is(err, refusedPages[i].err) {
		i++
	}
	status, level, trace := refusedPages[i].status, slog.LevelInfo, uuid.NewString()
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.Log.Log(r.Context(), level, "refused a sign-in", "status", status, "trace", trace, "err", err)
	page := struct{ Nonce, Text, TraceID string }{rand.Text(), refusedPages[i].text, trace}
	if err := render(rw, status, "refused.html", policy{nonce: page.Nonce}, page); err != nil {
		s.Log.ErrorContext(r.Context(), "cannot answer", "trace", trace, "err", err)
		http.Error(rw, page.Text, status)
	}
}

// signedIn hands the ticket to Windows: by itself, or when the person presses the button.
func (s *signIn) signedIn(rw http.ResponseWriter, back, ticket string) error {
	u, err := url.Parse(back)
	if err != nil {
		return err
	}
	page := struct {
		Organization, Ticket, Nonce string
		Return                      template.URL
	}{s.Config.Organization, ticket, rand.Text(), template.URL(back)} // checkReturn saw its scheme
	return render(rw, http.StatusOK, "signed-in.html", policy{nonce: page.Nonce, formAction: u.Scheme + ":"}, page)
}

// policy is what a page may do (Content Security Policy Level 3). It says nothing about frames, since Windows shows the page in one.
type policy struct{ nonce, formAction string }

func (p policy) String() string {
	action := "'none'"
	if p.formAction != "" {
		action = p.formAction
	}
	return fmt.Sprintf("default-src 'none'; script-src 'nonce-%[1]s'; style-src 'nonce-%[1]s'; form-action %[2]s; base-uri 'none'", p.nonce, action)
}

func render(rw http.ResponseWriter, status int, name string, p policy, data any) error {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		return fmt.Errorf("rendering a page: %w", err)
	}
	header := rw.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(page.Len()))
	header.Set("Content-Security-Policy", p.String())
	rw.WriteHeader(status)
	rw.Write(page.Bytes()) //nolint:errcheck // who went away asks again
	return nil
}
