package browser

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/oidcissuer"
)

const (
	code     = chromedp.CSS("#code")
	next     = chromedp.CSS("form button")
	download = chromedp.CSS(`a[href*="download=1"]`)
)

// enrolled enrols a Mac with a downloaded file.
func (w *world) enrolled(t *testing.T, file []byte) {
	t.Helper()
	profile, err := devicesim.ParseProfile(file, w.WebCA.Pool())
	if err != nil {
		t.Fatal(err)
	}
	enrollment, err := devicesim.ParseEnrollment(profile)
	if err != nil {
		t.Fatal(err)
	}
	d, err := devicesim.New(devicesim.Options{Hardware: devicesim.Mac("PAGE", 1), Client: w.client(t), Roots: w.WebCA.Pool(), Key: devicesim.NewKeyPool(1).Key})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.InstallEnrollment(t.Context(), enrollment); err != nil {
		t.Fatal(err)
	}
}

// Each platform is recognised, takes the code, and ends at what enrols the device.
func TestEachPlatformFindsItsWay(t *testing.T) {
	w := newWorld(t, branded(t))
	secret := w.token(t, "staff", nil)
	for name, c := range map[string]struct {
		device
		says []string
	}{
		"Mac with Safari":       {mac(), []string{"Enrol your Mac", "System Settings", "Using an iPad?"}},
		"Mac with Chrome":       {mac().as(macChrome), []string{"Enrol your Mac", "System Settings"}},
		"iPhone with Safari":    {iPhone(), []string{"Enrol your iPhone", "Profile Downloaded"}},
		"iPad that looks a Mac": {mac(), []string{"Enrol your iPhone or iPad", "Profile Downloaded"}},
		"PC with Edge":          {pc(), []string{"Enrol your Windows PC", "Access work or school"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.open(t, c.device)
			b.visit("/")
			if strings.HasPrefix(name, "iPad") {
				b.leave(chromedp.Click(chromedp.CSS(`a[href="?platform=ios"]`)))
			}
			b.reads(append(c.says, "What happens then")...)
			b.do(chromedp.SendKeys(code, secret))
			b.leave(chromedp.Click(next))
			b.reads(c.says[1])
			if at := eval[string](b, "location.href"); strings.Contains(at, secret) {
				t.Errorf("the code is in the address %s", at)
			}
			if c.userAgent != windowsEdge {
				if file := b.download(chromedp.Click(download)); len(file) == 0 {
					t.Error("the profile is empty")
				}
				return
			}
			const link = "ms-device-enrollment:?mode=mdm&servername=https://mdm.example.test/EnrollmentServer/Discovery.svc"
			if got := eval[string](b, `document.querySelector(".go a").href`); got != link {
				t.Errorf("the link is %s", got)
			}
			if got := eval[string](b, `document.querySelector("#password").value`); got != secret {
				t.Errorf("the password is %s", got)
			}
		})
	}
}

// A link leads to a page with a download, and a device enrols with what was downloaded.
func TestADeviceEnrolsWithWhatIsDownloaded(t *testing.T) {
	w := newWorld(t)
	b := w.open(t, mac())
	b.visit("/enroll/" + w.token(t, "staff", nil))
	if form := eval[int](b, `document.forms.length`); form != 0 {
		t.Error("who came by a link is asked for a code")
	}
	w.enrolled(t, b.download(chromedp.Click(download)))
}

// A person signs in at the issuer, comes back, and downloads the profile.
func TestAPersonSignsIn(t *testing.T) {
	issuer, ca := oidcissuer.Start(t, oidcissuer.Config{
		ClientID: "kubemdm", ClientSecret: "client-secret", Now: time.Now,
		Users: map[string]oidcissuer.User{"ada": {Password: "lovelace", Claims: map[string]any{"upn": "ada@example.com"}}},
	})
	w := newWorld(t, func(w *world) {
		w.issuer = issuer.URL()
		w.Put(t, "apple-signin/"+serverconfig.ClientSecretFile, []byte("client-secret"))
		w.Put(t, "apple-signin/"+serverconfig.CAFile, ca)
		w.Config.Apple.SignIn = &serverconfig.SignIn{IssuerURL: issuer.URL(), ClientID: "kubemdm", Dir: filepath.Join(w.Dir, "apple-signin")}
		w.Config.Page.SignInToken = "fleet/staff"
	})
	w.token(t, "staff", nil)
	b := w.open(t, mac())
	b.visit("/")
	b.reads("Sign in with your work account", "or", "Enrolment code")
	b.accessible()
	b.leave(chromedp.Click(chromedp.CSS(`a[href*="signin"]`)))
	b.do(chromedp.SendKeys(chromedp.CSS(`[name="`+oidcissuer.FieldUsername+`"]`), "ada"), chromedp.SendKeys(chromedp.CSS(`[name="`+oidcissuer.FieldPassword+`"]`), "lovelace"))
	b.leave(chromedp.Submit(chromedp.CSS("form")))
	b.reads("You are signed in as ada@example.com")
	w.enrolled(t, b.download(chromedp.Click(download)))
}

// Whoever cannot go on reads why and what to do, and finds help.
func TestErrorsSayWhatToDo(t *testing.T) {
	w := newWorld(t, branded(t))
	noPush := newWorld(t, branded(t), func(w *world) { w.Config.Apple.Push.Dir = filepath.Join(w.Dir, "none") })
	macsOnly := newWorld(t, branded(t), func(w *world) { w.Config.Windows = nil })
	spent := w.token(t, "spent", func(token *adminapi.Token) { token.MaxUses = 1 })
	first := w.open(t, mac())
	first.visit("/enroll/" + spent)
	w.enrolled(t, first.download(chromedp.Click(download)))
	onlyApple := w.token(t, "apple", func(token *adminapi.Token) { token.Platforms = []adminapi.Platform{adminapi.PlatformApple} })
	for name, c := range map[string]struct {
		*world
		device
		path string
		says []string
	}{
		"expired":             {w, mac(), "/enroll/" + w.token(t, "gone", expired), []string{"This link has expired", "Ask your administrator", "Start again"}},
		"exhausted":           {w, iPhone(), "/enroll/" + spent, []string{"This link is used up"}},
		"unknown":             {w, mac(), "/enroll/never-heard-of", []string{"This link is not known"}},
		"another platform":    {w, pc(), "/enroll/" + onlyApple, []string{"This link is not for Windows PCs"}},
		"no push certificate": {noPush, mac(), "/", []string{"Macs cannot enrol yet", "no push certificate"}},
		"not served":          {macsOnly, pc(), "/", []string{"This server does not enrol Windows PCs"}},
		"Android":             {w, pixel(), "/", []string{"Open this page on the device that you want to enrol", "Which device?"}},
		"not Safari":          {w, iPhone().as(iPhoneChrome), "/", []string{"Open this page in Safari"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := c.open(t, c.device)
			b.visit(c.path)
			b.reads(append(c.says, "Get help")...)
			if help := eval[string](b, `[...document.querySelectorAll("a")].find(a => a.innerText == "Get help").href`); help != c.Config.Page.SupportURL {
				t.Errorf("help is at %s", help)
			}
		})
	}
	t.Run("a wrong code", func(t *testing.T) {
		b := w.open(t, mac())
		b.visit("/")
		b.do(chromedp.SendKeys(code, "wrong"))
		b.leave(chromedp.Click(next))
		b.reads("This code is not known", "Enrolment code")
		b.accessible()
		if title := get(b, chromedp.Title()); !strings.HasPrefix(title, "This code is not known") {
			t.Errorf("the title is %s", title)
		}
	})
}

// Another site cannot send its visitors' browsers to the form with a code of its own.
func TestAnotherSiteCannotSendTheForm(t *testing.T) {
	w := newWorld(t)
	b := w.open(t, mac())
	b.do(chromedp.Navigate("data:text/html," + url.PathEscape(fmt.Sprintf(
		`<form method="post" action="%s"><input name="code" value="%s"><button>Win a prize</button></form>`, w.address("/enroll-page/code"), w.token(t, "staff", nil)))))
	b.leave(chromedp.Click(chromedp.CSS("button")))
	b.reads("The code came from another website")
}
