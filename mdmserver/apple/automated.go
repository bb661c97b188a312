package apple

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/apple/machineinfo"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// pathAutomated takes the signed machine info of a device in Setup Assistant; it is the url of setup-assistant profiles. Devices may keep it for years.
const pathAutomated = "/ade/{namespace}/{name}"

// maxKey bounds what a path names, in bytes: a namespace, a slash and a name.
const maxKey = 63 + 1 + 253

// errSignIn: the profile of the device wants to know who sets it up.
var errSignIn = errors.New("the setup-assistant profile of the device asks for a sign-in")

// automatedHandler gives devices in Setup Assistant their enrolment profile. It tells nobody which devices are listed: whoever is no device of Apple, and
// a device that is not listed, get the same answer.
type automatedHandler struct {
	apple *Apple
	fleet Fleet
}

// notHere is what devices and people are told that may not enrol.
const notHere = "This device may not enrol here. Ask your administrator."

// automatedExplanations are what people in front of a device may read.
var automatedExplanations = []struct {
	err  error
	text string
}{
	{machineinfo.ErrUnsigned, notHere},
	{machineinfo.ErrSigner, notHere},
	{fleet.ErrNotListed, notHere},
	{machineinfo.ErrContent, "The device did not say what it is."},
	{errSignIn, "This device enrols only when its user signs in. Start Setup Assistant again; if that shows no page to sign in, ask your administrator."},
}

// ServeHTTP answers a device that asks without a sign-in.
func (h *automatedHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, machineinfo.MaxBody))
	if err != nil {
		h.refuse(w, r, errMalformed)
		return
	}
	info, err := h.identify(body)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.answer(w, r, adminapi.Key(r.PathValue("namespace")+"/"+r.PathValue("name")), info, "")
}

// identify verifies machine info as a device sends it (CMS, not in base64).
func (h *automatedHandler) identify(cms []byte) (machineinfo.Info, error) {
	return machineinfo.Parse(cms, h.apple.DeviceRoots)
}

// refuse explains an error of identify or answer to the device.
func (h *automatedHandler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := logged(r.Context(), h.apple.Log, "automated enrolment", err)
	text := http.StatusText(status)
	if explained, ok := explanations[status]; ok && status >= http.StatusInternalServerError {
		text = explained
	}
	for _, e := range automatedExplanations {
		if errors.Is(err, e.err) {
			text = e.text
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, status)
}

// answer gives the device its enrolment profile, or says why it gets none. account is who signed in; empty without a sign-in.
func (h *automatedHandler) answer(w http.ResponseWriter, r *http.Request, key adminapi.Key, info machineinfo.Info, account string) {
	profile, update, err := h.decide(r, key, info, account)
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case err != nil:
		h.refuse(w, r, err)
	case update != nil:
		h.apple.Log.InfoContext(r.Context(), "a device in Setup Assistant is told to update first", "automated", key, "version", update.Version)
		askForUpdate(w, *update)
	default:
		w.Header().Set("Content-Type", contentType)
		w.Write(profile) //nolint:errcheck // the device that went away asks again
	}
}

// decide returns the enrolment profile, or the system that the device has to install first.
func (h *automatedHandler) decide(r *http.Request, key adminapi.Key, info machineinfo.Info, account string) ([]byte, *adminapi.OSVersion, error) {
	topic := h.apple.Topic()
	if topic == "" {
		return nil, nil, errNoPush
	}
	if len(key) > maxKey {
		return nil, nil, fleet.ErrNotListed
	}
	setup, err := h.fleet.AutomatedProfile(r.Context(), key, info.SerialNumber)
	if err != nil {
		return nil, nil, err
	}
	if update := outdated(setup, info); update != nil {
		return nil, update, nil
	}
	if setup.SignIn && account == "" {
		return nil, nil, errSignIn
	}
	params := h.apple.params(topic)
	challenge, err := h.fleet.IssueAutomated(r.Context(), key, info.SerialNumber, account, params)
	if err != nil {
		return nil, nil, err
	}
	unsigned, err := h.apple.profile(params, challenge.EnrollmentID, challenge.Secret)
	if err != nil {
		return nil, nil, err
	}
	signed, err := h.apple.sign(unsigned)
	return signed, nil, err
}

// updateRequired is the answer upon which Setup Assistant updates the device and asks again (apple/device-management, "ErrorCodeSoftwareUpdateRequired").
type updateRequired struct {
	Code        string        `json:"code"`
	Description string        `json:"description"`
	Message     string        `json:"message"`
	Details     updateDetails `json:"details"`
}

type updateDetails struct {
	OSVersion    string `json:"OSVersion"`
	BuildVersion string `json:"BuildVersion,omitempty"`
}

func askForUpdate(w http.ResponseWriter, to adminapi.OSVersion) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_ = json.NewEncoder(w).Encode(updateRequired{ // the device that went away asks again
		Code:        "com.apple.softwareupdate.required",
		Description: "The device must run at least version " + to.Version + " to enrol.",
		Message:     "Your organisation asks for version " + to.Version + " or newer.",
		Details:     updateDetails{OSVersion: to.Version, BuildVersion: to.Build},
	})
}
