package signin

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/google/uuid"
)

//go:embed pages
var pageFiles embed.FS

var pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// Pages returns a set of templates to which a platform may add pages of its own. They may use style.html, whose data has the policy's Nonce.
func Pages() *template.Template { return template.Must(pages.Clone()) }

// Refusal is what people read instead of being signed in.
type Refusal struct {
	Err    error
	Status int
	Text   string
}

// refusals are those of every platform; what is not in it is the server's own fault.
var refusals = []Refusal{
	{ErrAttempt, http.StatusBadRequest, "The sign-in took too long or began in another window. Start again."},
	{errDenied, http.StatusForbidden, "The sign-in was cancelled or refused. Start again, or ask your administrator."},
	{errAddress, http.StatusForbidden, "Your account may not enrol devices here. Ask your administrator."},
	{errAnswer, http.StatusBadGateway, "The sign-in service gave an answer that cannot be trusted. Ask your administrator."},
	{errIssuer, http.StatusBadGateway, "The sign-in service cannot be reached. Try again in a few minutes."},
}

var fault = Refusal{nil, http.StatusInternalServerError, "The server failed. Give the trace id to your administrator."}

// Page serves a step of the sign-in, or the page that says why it was refused. A step that has answered returns nil.
func (f *Flow) Page(step func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer") // the addresses hold codes
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := step(w, r); err != nil {
			f.refuse(w, r, err)
		}
	}
}

// Refusal is what to tell people of an error of Begin or Finish.
func (f *Flow) Refusal(err error) Refusal {
	for _, list := range [][]Refusal{f.Refusals, refusals} {
		for _, refusal := range list {
			if errors.Is(err, refusal.Err) {
				return refusal
			}
		}
	}
	return fault
}

func (f *Flow) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusal, level, trace := f.Refusal(err), slog.LevelInfo, uuid.NewString()
	if refusal.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	f.Log.Log(r.Context(), level, "refused a sign-in", "status", refusal.Status, "trace", trace, "err", err)
	page := struct{ Nonce, Text, TraceID string }{rand.Text(), refusal.Text, trace}
	if err := Render(w, refusal.Status, pages, "refused.html", Policy{Nonce: page.Nonce}, page); err != nil {
		f.Log.ErrorContext(r.Context(), "cannot answer", "trace", trace, "err", err)
		http.Error(w, page.Text, refusal.Status)
	}
}

// Policy is what a page may do (Content Security Policy Level 3). It says nothing about frames, since Windows shows the page in one.
type Policy struct {
	// Nonce is that of the page's styles and scripts.
	Nonce string
	// FormAction is where its form leads; empty: it has none.
	FormAction string
}

func (p Policy) String() string {
	action := "'none'"
	if p.FormAction != "" {
		action = p.FormAction
	}
	return fmt.Sprintf("default-src 'none'; script-src 'nonce-%[1]s'; style-src 'nonce-%[1]s'; form-action %[2]s; base-uri 'none'", p.Nonce, action)
}

// Render answers with a page of a set. An error means that nothing was written.
func Render(w http.ResponseWriter, status int, set *template.Template, name string, p Policy, data any) error {
	var page bytes.Buffer
	if err := set.ExecuteTemplate(&page, name, data); err != nil {
		return fmt.Errorf("rendering a page: %w", err)
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(page.Len()))
	header.Set("Content-Security-Policy", p.String())
	w.WriteHeader(status)
	w.Write(page.Bytes()) //nolint:errcheck // who went away asks again
	return nil
}
