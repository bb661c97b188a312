package apple

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/apple/machineinfo"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/mdmserver/signin"
)

const (
	// pathAutomatedSignIn is the configuration_web_url of setup-assistant profiles that ask people to sign in.
	pathAutomatedSignIn = pathAutomated + "/signin"
	// pathAutomatedCallback is the same for all of them, since it is registered at the issuer.
	pathAutomatedCallback = "/ade/signin/callback"
	// deviceInfoHeader holds the signed machine info in base64. A device sends it with the first request of the web view and with no other one
	// (Authenticating through web views, Apple's Device Management documentation).
	deviceInfoHeader = "X-Apple-Aspen-Deviceinfo"
)

var errNoDevice = errors.New("the page was not opened by Setup Assistant")

// automatedRefusals are what people in front of a device read in place of an enrolment. Whoever is no device of Apple learns no more than a device that
// is not listed.
var automatedRefusals = []signin.Refusal{
	{Err: errNoDevice, Status: http.StatusBadRequest, Text: "This page opens by itself when a device is set up. It does nothing in a browser."},
	{Err: errNoPush, Status: http.StatusServiceUnavailable, Text: explanations[http.StatusServiceUnavailable]},
	{Err: fleet.ErrUnavailable, Status: http.StatusServiceUnavailable, Text: explanations[http.StatusServiceUnavailable]},
	{Err: machineinfo.ErrContent, Status: http.StatusBadRequest, Text: "The device did not say what it is. Start it again."},
	{Err: machineinfo.ErrUnsigned, Status: http.StatusForbidden, Text: notHere},
	{Err: machineinfo.ErrSigner, Status: http.StatusForbidden, Text: notHere},
	{Err: fleet.ErrNotListed, Status: http.StatusForbidden, Text: notHere},
}

// automatedSignIn serves the page in Setup Assistant at which people sign in before their device enrols. The enrolment profile ends it.
type automatedSignIn struct {
	*automatedHandler
	flow *signin.Flow
}

// guest is a device whose user signs in. It is proven once, at the beginning.
type guest struct {
	Key  adminapi.Key
	Info machineinfo.Info
}

// registerSignIn adds the endpoints of the sign-in, if people can sign in anywhere.
func (h *automatedHandler) registerSignIn(mux *http.ServeMux) {
	a := h.apple
	if a.Config.Apple.SignIn == nil {
		return
	}
	s := &automatedSignIn{automatedHandler: h, flow: signin.New(signin.Options{
		Config: *a.Config.Apple.SignIn, Secret: a.SignInSecret, RedirectURL: a.url(pathAutomatedCallback), Seal: a.Seal,
		Refusals: automatedRefusals, Now: a.Now, Log: a.Log,
	})}
	mux.HandleFunc("GET "+pathAutomatedSignIn, s.flow.Page(s.begin))
	mux.HandleFunc("GET "+pathAutomatedCallback, s.flow.Page(s.finish))
}

// begin proves the device and sends its user to the issuer. Who could not enrol anyway hears so before anybody types a password.
func (s *automatedSignIn) begin(w http.ResponseWriter, r *http.Request) error {
	g, err := s.arrived(r)
	if err != nil {
		return err
	}
	if s.apple.Topic() == "" {
		return errNoPush
	}
	setup, err := s.fleet.AutomatedProfile(r.Context(), g.Key, g.Info.SerialNumber)
	if err != nil {
		return err
	}
	if update := outdated(setup, g.Info); update != nil {
		askForUpdate(w, *update)
		return nil
	}
	carried, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return s.flow.Begin(w, r, string(carried), "")
}

// arrived is the device that opened the page.
func (s *automatedSignIn) arrived(r *http.Request) (g guest, err error) {
	header := r.Header.Get(deviceInfoHeader)
	if header == "" {
		return g, errNoDevice
	}
	cms, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return g, fmt.Errorf("%w: it is not in base64", machineinfo.ErrContent)
	}
	if g.Info, err = s.identify(cms); err != nil {
		return g, err
	}
	g.Key = adminapi.Key(r.PathValue("namespace") + "/" + r.PathValue("name"))
	if len(g.Key) > maxKey {
		return g, fleet.ErrNotListed
	}
	return g, nil
}

// finish enrols the device for whoever has signed in.
func (s *automatedSignIn) finish(w http.ResponseWriter, r *http.Request) error {
	account, err := s.flow.Finish(w, r)
	if err != nil {
		return err
	}
	g := guest{}
	if err := json.Unmarshal([]byte(account.Carried), &g); err != nil {
		return fmt.Errorf("reading what a sign-in carried: %w", err)
	}
	s.answer(w, r, g.Key, g.Info, account.Address)
	return nil
}
