package enroll

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"net/http"
	"strconv"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// policy lets the page load its own files and send its own form (Content Security Policy Level 3).
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// permissions takes from the page what browsers could ask people for.
const permissions = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

var templates = template.Must(template.ParseFS(files, "pages/*.html"))

// view is what the template shows.
type view struct {
	from source

	Brand, Organization string
	// Style, Icon and Logo are addresses; Logo is empty without one.
	Style, Icon, Logo string
	// Support is where people find help, or empty. The type of the configuration says which schemes it may have.
	Support template.URL
	// Device is what the person calls the device; Platform what the form sends.
	Device   string
	Platform platform
	Choices  []choice

	Problem *problem
	// NotSafari is the address that the person should open in Safari; empty in Safari.
	NotSafari string
	// PerhapsIPad is true where a Mac may be an iPad.
	PerhapsIPad bool
	// Restart leads to the page without a code.
	Restart bool

	// Form and SignIn are the two ways on without a link.
	Form, SignIn     bool
	FormTo, SignInTo string

	// Steps is the platform whose steps are shown, if any; Ready says that the first of them can be done. WindowsSignIn is true where Windows asks people
	// to sign in, and not for a code.
	Steps         platform
	Ready         bool
	WindowsSignIn bool
	Download      string
	DeepLink      template.URL
	// Code is what Windows will ask for; Discovery the address, for people whose browser does not open the link.
	Code, Discovery string
	// Account is who signed in.
	Account string
}

type choice struct {
	Name, Address string
	Current       bool
}

// problem is what keeps a person from going on.
type problem struct {
	Title, Text string
	TraceID     string
	// Choose: nothing went wrong, the person has only to say which device it is.
	Choose bool
}

// view is the page before anything is given.
func (p *Page) view(v visitor, from source) *view {
	page := &view{
		from: from, Brand: cmp.Or(p.Config.Page.Title, p.Config.Organization), Organization: p.Config.Organization,
		Style: p.assets.style, Icon: p.assets.icon, Logo: p.logo.address(),
		Support:  template.URL(p.Config.Page.SupportURL), // the configuration was checked
		Platform: v.platform, Device: cmp.Or(v.name, platformOther.name()), PerhapsIPad: v.perhapsIPad && p.Apple != nil,
		FormTo: pathCode, SignInTo: pathSignIn + "?platform=" + string(v.platform),
	}
	for _, other := range []platform{platformMac, platformIOS, platformWindows} {
		if p.serves(other) {
			page.Choices = append(page.Choices, choice{Name: other.name(), Address: "?platform=" + string(other), Current: other == v.platform})
		}
	}
	if v.notSafari {
		page.NotSafari = "https://" + p.Config.Host + "/"
	}
	if !p.serves(v.platform) {
		return page
	}
	page.Steps = v.platform
	if v.platform == platformWindows {
		page.DeepLink = template.URL(serverconfig.WindowsDeepLink(p.Config.Host)) // a host and nothing else
		page.Discovery = "https://" + p.Config.Host + "/EnrollmentServer/Discovery.svc"
		page.WindowsSignIn = p.windowsSignsIn()
		page.Form, page.Ready = !page.WindowsSignIn, page.WindowsSignIn
		return page
	}
	page.Form, page.SignIn = true, p.flow != nil
	return page
}

// ready is the page once something good was given.
func (page *view) ready(p *Page, v visitor, given pass, address string) {
	page.Form, page.SignIn, page.Ready = false, false, true
	page.Download = address + "?platform=" + string(v.platform) + "&download=1"
	page.Account = given.Account
	if v.platform == platformWindows {
		page.Code = given.Code
	}
	if v.notSafari {
		page.NotSafari = "https://" + p.Config.Host + address
	}
}

// render answers with the page.
func (p *Page) render(w http.ResponseWriter, r *http.Request, status int, page *view) {
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, "page.html", page); err != nil {
		p.Log.ErrorContext(r.Context(), "rendering the enrolment page", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", policy)
	header.Set("Permissions-Policy", permissions)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Robots-Tag", "noindex")
	// Under no-referrer old browsers hide where a form comes from, so the pages with one have nothing secret in their address.
	header.Set("Referrer-Policy", map[bool]string{true: "no-referrer", false: "same-origin"}[page.from.secret()])
	w.WriteHeader(status)
	w.Write(body.Bytes()) //nolint:errcheck // who went away asks again
}

// Heading is the first line of the page.
func (page *view) Heading() string {
	if page.Platform == platformOther {
		return "Enrol your device"
	}
	return fmt.Sprintf("Enrol your %s", page.Device)
}
