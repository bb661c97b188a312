package devicesim_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/micromdm/plist"
	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/pki"
)

// deviceCA is shared by all tests: making keys is what takes time.
var deviceCA = sync.OnceValues(func() (*applepki.DeviceCA, error) { return applepki.NewDeviceCA(time.Now) })

// machineInfo is what a device says of itself.
type machineInfo struct {
	Serial    string `plist:"SERIAL"`
	UDID      string `plist:"UDID"`
	Product   string `plist:"PRODUCT"`
	OSVersion string `plist:"OS_VERSION"`
	Build     string `plist:"VERSION"`
	Language  string `plist:"LANGUAGE"`
	CanUpdate bool   `plist:"MDM_CAN_REQUEST_SOFTWARE_UPDATE"`
}

// organisation is what a device meets in Setup Assistant: its setup-assistant profile and the server at its url.
type organisation struct {
	*httptest.Server
	mdm *server
	ca  *pki.CA
	// setup is the setup-assistant profile.
	setup map[string]any
	// refuse answers instead of the enrolment profile, if it wants to.
	refuse func(w http.ResponseWriter, info machineInfo) bool
	asked  []machineInfo
}

// newOrganisation makes one whose server shows a certificate of a CA that nobody knows but by anchor_certs.
func newOrganisation(t *testing.T, mdm *server) *organisation {
	t.Helper()
	o := &organisation{mdm: mdm, ca: pki.NewCA(t, "organisation"), refuse: func(http.ResponseWriter, machineInfo) bool { return false }}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ade", func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Content-Type"); got != "application/pkcs7-signature" {
			t.Errorf("content type %q", got)
		}
		body, err := io.ReadAll(r.Body)
		check(t, err)
		o.answer(t, w, body)
	})
	mux.HandleFunc("GET /signin", func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("flow"); err == nil && r.URL.Query().Get("code") == "good" {
			if r.Header.Get("X-Apple-Aspen-Deviceinfo") != "" {
				t.Error("the machine info came again")
			}
			o.answerHeader(t, w, cookie.Value)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "flow", Value: r.Header.Get("X-Apple-Aspen-Deviceinfo")})
		http.Redirect(w, r, mdm.URL+"/issuer", http.StatusFound)
	})
	o.Server = httptest.NewUnstartedServer(mux)
	o.TLS = &tls.Config{Certificates: []tls.Certificate{o.ca.Issue(t, pki.Leaf{CN: "organisation", Names: []string{"127.0.0.1"}})}}
	o.StartTLS()
	t.Cleanup(o.Close)
	o.setup = map[string]any{
		"profile_name": "Office", "url": o.URL + "/ade", "is_supervised": true, "is_mandatory": true, "await_device_configured": true,
		"anchor_certs": []string{base64.StdEncoding.EncodeToString(o.ca.Cert.Raw)}, "skip_setup_items": []string{"Siri", "AppleID"},
		"profile_uuid": "ABC", "devices": []string{},
	}
	return o
}

func (o *organisation) answerHeader(t *testing.T, w http.ResponseWriter, header string) {
	cms, err := base64.StdEncoding.DecodeString(header)
	check(t, err)
	o.answer(t, w, cms)
}

func (o *organisation) answer(t *testing.T, w http.ResponseWriter, cms []byte) {
	info := open(t, cms)
	o.asked = append(o.asked, info)
	if o.refuse(w, info) {
		return
	}
	w.Header().Set("Content-Type", "application/x-apple-aspen-config")
	_, _ = w.Write(o.mdm.profile())
}

// open reads machine info; its signature is over the content, as devices make it.
func open(t *testing.T, cms []byte) (info machineInfo) {
	message, err := pkcs7.Parse(cms)
	if err != nil {
		t.Errorf("machine info: %v", err)
		return info
	}
	key, _ := message.GetOnlySigner().PublicKey.(*rsa.PublicKey)
	digest := sha1.Sum(message.Content)
	check(t, rsa.VerifyPKCS1v15(key, crypto.SHA1, digest[:], message.Signers[0].EncryptedDigest))
	check(t, plist.Unmarshal(message.Content, &info))
	return info
}

// assistant is Setup Assistant of a device with the organisation's profile.
func (o *organisation) assistant(t *testing.T, h devicesim.Hardware) devicesim.SetupAssistant {
	t.Helper()
	ca, err := deviceCA()
	check(t, err)
	identity, err := ca.Issue(h.UDID, applepki.DeviceOptions{})
	check(t, err)
	profile, err := json.Marshal(o.setup)
	check(t, err)
	return devicesim.SetupAssistant{Profile: profile, Identity: identity}
}

// enroll lets a new Mac go through Setup Assistant.
func (o *organisation) enroll(t *testing.T, change func(*devicesim.Options)) *devicesim.Device {
	t.Helper()
	mac := newDevice(t, o.mdm, change)
	if err := mac.EnrollAutomated(t.Context(), o.assistant(t, mac.Hardware())); err != nil {
		t.Fatal(err)
	}
	return mac
}

// with is the enrolment profile with one more payload.
func with(t *testing.T, profile []byte, payload map[string]any) []byte {
	t.Helper()
	var top map[string]any
	check(t, plist.Unmarshal(profile, &top))
	payloads, _ := top["PayloadContent"].([]any)
	top["PayloadContent"] = append(payloads, payload)
	return encode(top)
}

// events collects what happens to a device.
type events struct {
	mu   sync.Mutex
	seen []string
}

func (e *events) add(event devicesim.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, strings.TrimPrefix(event.String(), event.Serial+" "))
}

func (e *events) has(what string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.seen, what)
}

func changed(setup map[string]any, key string, value any) map[string]any {
	other := maps.Clone(setup)
	other[key] = value
	return other
}
