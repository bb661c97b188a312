package browser

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// focused tells what has the focus, and whether a person sees that: by an outline of at least two pixels.
const focused = `(() => { const e = document.activeElement, s = getComputedStyle(e);
	return e === document.body ? "" : (e.id || e.innerText || e.outerHTML.slice(0, 60)).trim() + (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 ? "" : " (not seen)") })()`

// reachable lists what can be used with a mouse, in the same words.
const reachable = `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), summary")].filter(e => e.checkVisibility()).map(e => (e.id || e.innerText).trim())`

// stops are the places where the focus rests on its way through the page.
func (b *tab) stops() []string {
	b.Helper()
	var all []string
	for range 40 {
		b.do(chromedp.KeyEvent(kb.Tab))
		at := eval[string](b, focused)
		if at == "" || slices.Contains(all, at) {
			return all
		}
		all = append(all, at)
	}
	b.Fatal("the focus never leaves the page")
	return nil
}

// to moves the focus to what has a name.
func (b *tab) to(name string) {
	b.Helper()
	for range 40 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if at := eval[string](b, focused); strings.HasPrefix(at, name) {
			return
		}
	}
	b.Fatalf("the focus never comes to %q", name)
}

// With Tab alone a person reaches all that a mouse does, in its order, and sees where the focus is.
func TestTheKeyboardReachesEverything(t *testing.T) {
	w := newWorld(t, branded(t))
	good, gone := "/enroll/"+w.token(t, "good", nil), "/enroll/"+w.token(t, "gone", expired)
	for name, c := range map[string]struct {
		device
		path string
	}{
		"a Mac": {mac(), "/"}, "a Mac's link": {mac(), good}, "an iPhone's link": {iPhone(), good}, "a PC's link": {pc(), good}, "an expired link": {pc(), gone},
		"not Safari": {iPhone().as(iPhoneChrome), good},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.open(t, c.device)
			b.visit(c.path)
			want := slices.Compact(eval[[]string](b, reachable)) // the two links to help are told apart by their place only
			if got := b.stops(); len(want) < 4 || !slices.Equal(got, want[:len(got)]) || len(got) < len(want)-1 {
				t.Errorf("the keyboard reaches\n%q\na mouse\n%q", got, want)
			}
		})
	}
}

// A person without a mouse enrols a Mac from the first page to the file.
func TestAPersonEnrolsWithTheKeyboardAlone(t *testing.T) {
	w := newWorld(t)
	secret := w.token(t, "staff", nil)
	b := w.open(t, mac())
	b.visit("/")
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter)) // to the steps
	if at := eval[string](b, "document.activeElement.id"); at != "main" {
		t.Errorf("the first link leads to %q", at)
	}
	b.to("code")
	b.do(chromedp.KeyEvent(secret))
	b.leave(chromedp.KeyEvent(kb.Enter))
	b.to("On macOS 14")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.reads("macOS 12 and older")
	b.visit(strings.TrimPrefix(eval[string](b, "location.href"), w.address("")))
	b.to("Download the profile")
	w.enrolled(t, b.download(chromedp.KeyEvent(kb.Enter)))
}
