package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
)

// wide lists what reaches beyond the right edge of the window.
const wide = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && getComputedStyle(e).clipPath == "none")
	.map(e => e.outerHTML.slice(0, 80))`

// On the narrowest screen that counts (WCAG 2.2, 1.4.10), and with letters of twice the size (1.4.4), nobody has to scroll sideways and nothing is cut off.
func TestSmallScreensAndLargeLetters(t *testing.T) {
	w := newWorld(t, branded(t))
	good, gone := "/enroll/"+w.token(t, "good", nil), "/enroll/"+w.token(t, "gone", expired)
	for name, c := range map[string]struct {
		device
		path string
	}{
		"a Mac": {mac(), "/"}, "a Mac's link": {mac(), good}, "an iPhone's link": {iPhone(), good}, "a PC's link": {pc(), good}, "an expired link": {mac(), gone},
		"not Safari": {iPhone().as(iPhoneChrome), good}, "Android": {pixel(), "/"},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.open(t, c.device)
			b.visit(c.path)
			eval[bool](b, `document.querySelectorAll("details").forEach(d => d.open = true) ?? true`)
			for _, width := range []int64{320, 480, 768, 1440} {
				call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 800, DeviceScaleFactor: 1, Mobile: c.mobile})
				for _, size := range []int{100, 200} {
					if size == 200 && width == 320 {
						continue // one or the other is asked for
					}
					eval[string](b, fmt.Sprintf(`document.documentElement.style.fontSize = "%d%%"`, size))
					if out := eval[[]string](b, wide); len(out) > 0 {
						t.Errorf("%d pixels wide, letters at %d %%: %q", width, size, out)
					}
					if scroll := eval[int](b, "document.documentElement.scrollWidth"); int64(scroll) > width {
						t.Errorf("%d pixels wide, letters at %d %%: one has to scroll to %d", width, size, scroll)
					}
				}
			}
		})
	}
}

// The page follows the person's choice of light or dark.
func TestThePageIsLightOrDark(t *testing.T) {
	w := newWorld(t)
	grounds := map[string]string{}
	for _, d := range []device{mac(), mac().night()} {
		b := w.open(t, d)
		b.visit("/")
		grounds[d.scheme()] = eval[string](b, "getComputedStyle(document.body).backgroundColor")
	}
	if grounds["light"] != "rgb(244, 245, 247)" || grounds["dark"] != "rgb(20, 23, 27)" {
		t.Errorf("the grounds are %v", grounds)
	}
}

// The page runs no script, not even one that found its way into it.
func TestThePageRunsNoScript(t *testing.T) {
	w := newWorld(t)
	b := w.open(t, mac())
	b.visit("/")
	if n := eval[int](b, `document.scripts.length`); n != 0 {
		t.Errorf("it has %d scripts", n)
	}
	eval[bool](b, `(() => { const s = document.createElement("script"); s.textContent = "window.ran = true"; document.body.append(s); return true })()`)
	if eval[bool](b, "window.ran === true") {
		t.Error("a script ran")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) == 0 {
		t.Error("the browser does not tell of a script that it blocked: the other tests would not see one")
	}
	b.faults = nil
}
