package enroll

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// retryAfter is the Retry-After header of answers that time may change, in seconds.
const retryAfter = "60"

var (
	errOther        = errors.New("the browser runs on no platform that can be enrolled")
	errNotServed    = errors.New("the server manages no device of the platform")
	errNoPush       = errors.New("the server has no push certificate yet")
	errNoCode       = errors.New("no code was entered")
	errForm         = errors.New("the form is malformed")
	errOrigin       = errors.New("the form is on the page of somebody else")
	errTooMany      = errors.New("too many wrong codes came from this network")
	errSignInClosed = errors.New("the EnrollmentToken of the sign-in cannot be used")
	errNotHere      = errors.New("people with devices of this platform do not sign in on the page")
)

// source is what brought a person to a page.
type source int

const (
	fromHome source = iota
	fromForm
	fromLink
	fromPass
	fromSignIn
)

// secret says whether the address of the page is worth something, so that it must not be told to anybody.
func (s source) secret() bool { return s == fromLink || s == fromPass }

// given is what people call that which they came with.
func (s source) given() string {
	if s == fromLink {
		return "link"
	}
	return "code"
}

// refusal is what a person reads who cannot go on. The text says what to do.
type refusal struct {
	err         error
	status      int
	title, text string
	// again shows the form once more where there was one.
	again bool
}

// refusals are what people are told. In the texts, {given} is what they came with, and {devices} are devices such as theirs.
var refusals = []refusal{
	{errOther, http.StatusOK, "Open this page on the device that you want to enrol",
		"This browser does not run on a device that can be enrolled here. Or choose your device below to see the steps.", false},
	{errNotServed, http.StatusOK, "This server does not enrol {devices}", "Choose another kind of device below, or ask your administrator for the right address.", false},
	{errNoPush, http.StatusServiceUnavailable, "{devices} cannot enrol yet",
		"The server has no push certificate, without which Apple devices cannot be managed. Tell your administrator, and try again later.", false},
	{errNoCode, http.StatusBadRequest, "Enter your code", "Type or paste the code that you were given, then press Continue.", true},
	{errForm, http.StatusBadRequest, "The form could not be read", "Enter the code again.", true},
	{errOrigin, http.StatusForbidden, "The code came from another website", "Enter it here, on this page, and only if you trust it.", true},
	{errTooMany, http.StatusTooManyRequests, "Too many wrong codes", "Too many wrong codes came from your network. Wait a minute, then try again.", true},
	{errSignInClosed, http.StatusForbidden, "Nobody can enrol by signing in right now", "Ask your administrator for a link or a code.", false},
	{errNotHere, http.StatusForbidden, "Sign in on the device itself", "Choose your device below to see how.", false},
	{errPass, http.StatusGone, "This page has expired", "It is good for ten minutes. Start again.", false},
	{fleet.ErrTokenUnknown, http.StatusNotFound, "This {given} is not known",
		"Check it for typing errors: capital and small letters differ. If it is right, ask your administrator for a new one.", true},
	{fleet.ErrTokenExpired, http.StatusGone, "This {given} has expired", "Ask your administrator for a new one.", true},
	{fleet.ErrTokenExhausted, http.StatusGone, "This {given} is used up",
		"It was for a certain number of devices, and so many have enrolled. Ask your administrator for a new one.", true},
	{fleet.ErrTokenPlatform, http.StatusForbidden, "This {given} is not for {devices}",
		"Choose your device below if it is another one. If it is not, ask your administrator for a new {given}.", true},
	{fleet.ErrUnavailable, http.StatusServiceUnavailable, "The server cannot enrol devices right now", "Try again in a few minutes.", true},
}

// refusal is what to tell people of an error.
func (p *Page) refusal(err error, from source) refusal {
	for _, known := range refusals {
		if errors.Is(err, known.err) {
			return known
		}
	}
	if p.flow != nil && from == fromSignIn {
		told := p.flow.Refusal(err)
		return refusal{err: err, status: told.Status, title: "You are not signed in", text: told.Text}
	}
	return refusal{err: err, status: http.StatusInternalServerError, title: "The server failed", text: "Try again in a few minutes. If it fails again, give the trace id to your administrator."}
}

// refuse shows why a person cannot go on, and what to do.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request, v visitor, err error, from source) {
	told := p.refusal(err, from)
	page := p.view(v, from)
	page.Problem = &problem{Title: said(told.title, from, v), Text: said(told.text, from, v), Choose: errors.Is(err, errOther)}
	page.Form, page.SignIn = page.Form && told.again && !from.secret(), page.SignIn && told.again && !from.secret()
	page.Steps, page.NotSafari = "", ""
	page.Restart = !page.Form && told.status != http.StatusOK
	if told.status == http.StatusInternalServerError || told.status == http.StatusBadGateway {
		page.Problem.TraceID = uuid.NewString()
	}
	if told.status != http.StatusOK {
		level := slog.LevelInfo
		if told.status >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		p.Log.Log(r.Context(), level, "answered with an error", "request", "enrolment page", "status", told.status, "trace", page.Problem.TraceID, "err", err)
	}
	if told.status == http.StatusServiceUnavailable || told.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", retryAfter)
	}
	p.render(w, r, told.status, page)
}

// said fills in what a text leaves open.
func said(text string, from source, v visitor) string {
	return strings.NewReplacer("{given}", from.given(), "{devices}", v.platform.plural()).Replace(text)
}
