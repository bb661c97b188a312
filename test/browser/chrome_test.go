package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// patience bounds what a test does in its tab.
const patience = 2 * time.Minute

// chrome is the one browser of all tests.
var chrome context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	path, err := exec.LookPath("chromium")
	if err != nil {
		fmt.Fprintln(os.Stderr, "these tests need a real browser: install the package chromium:", err)
		return 1
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.IgnoreCertErrors, chromedp.Flag("disable-gpu", true), chromedp.Flag("lang", "en-GB"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	var end context.CancelFunc
	chrome, end = chromedp.NewContext(allocator)
	defer end()
	if err := chromedp.Do(chrome); err != nil {
		fmt.Fprintln(os.Stderr, "starting chromium:", err)
		return 1
	}
	return m.Run()
}

// device is what a tab pretends to be.
type device struct {
	userAgent     string
	width, height int64
	mobile        bool
	dark          bool
}

const (
	macSafari    = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15"
	macChrome    = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36"
	iPhoneSafari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	iPhoneChrome = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/137.0.7151.51 Mobile/15E148 Safari/604.1"
	windowsEdge  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0"
	android      = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36"
)

func mac() device    { return device{userAgent: macSafari, width: 1200, height: 900} }
func iPhone() device { return device{userAgent: iPhoneSafari, width: 390, height: 844, mobile: true} }
func pc() device     { return device{userAgent: windowsEdge, width: 1200, height: 900} }
func pixel() device  { return device{userAgent: android, width: 412, height: 915, mobile: true} }
func (d device) night() device {
	d.dark = true
	return d
}

func (d device) as(userAgent string) device {
	d.userAgent = userAgent
	return d
}

func (d device) scheme() string {
	if d.dark {
		return "dark"
	}
	return "light"
}

// tab is a tab in a browser of its own, which reaches the world through its proxy.
type tab struct {
	testing.TB
	context.Context
	world     *world
	downloads string
	finished  chan string // downloaded files

	mu       sync.Mutex
	requests []string
	faults   []string // what the console tells
}

// open opens a tab. At the end of the test it must have seen neither an error nor a request to another server.
func (w *world) open(t testing.TB, d device) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext(func(p *target.CreateBrowserContextParams) { p.ProxyServer = w.proxy(t) }))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the tab lives as long as the context of its first action
		t.Fatal(err)
	}
	b := &tab{TB: t, world: w, finished: make(chan string, 4)}
	if err := errors.Join(chromedp.Listen(ctx, b.listen), chromedp.ListenBrowser(ctx, b.listen)); err != nil {
		t.Fatal(err)
	}
	var stop context.CancelFunc
	b.Context, stop = context.WithTimeout(ctx, patience)
	t.Cleanup(stop)
	call(b, network.Enable, network.EnableParams{})
	call(b, cdplog.Enable, cdp.Empty{})
	call(b, runtime.Enable, cdp.Empty{})
	call(b, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: d.userAgent})
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: d.width, Height: d.height, DeviceScaleFactor: 1, Mobile: d.mobile})
	scheme := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: d.scheme()}
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{scheme}})
	b.downloads = t.TempDir()
	events := true
	if _, err := chromedp.CallBrowser(b.Context, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllowAndName, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
		DownloadPath: b.downloads, EventsEnabled: &events,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.judge)
	return b
}

// call sends a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.Helper()
	if _, err := chromedp.Call(b.Context, command, params); err != nil {
		b.Fatal(err)
	}
}

// listen notes what the browser tells.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventConsoleAPICalled:
		b.faults = append(b.faults, "console: "+string(e.Type))
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, "exception: "+e.ExceptionDetails.Text)
	case *cdplog.EventEntryAdded:
		// The status of a page that says what is wrong is none of its faults, and the issuer's page is not ours.
		if !strings.Contains(e.Entry.Text, "the server responded with a status of") && !b.atIssuer(e.Entry.URL) {
			b.faults = append(b.faults, fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *cdpbrowser.EventDownloadProgress:
		if e.State == cdpbrowser.DownloadProgressStateCompleted {
			b.finished <- filepath.Join(b.downloads, e.GUID)
		}
	}
}

// judge fails the test if the page did what it must not.
func (b *tab) judge() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		b.Errorf("the console tells: %s", fault)
	}
	for _, request := range b.requests {
		if !strings.HasPrefix(request, b.world.address("/")) && !b.atIssuer(request) && !strings.HasPrefix(request, "data:") {
			b.Errorf("the page asked another server: %s", request)
		}
	}
}

func (b *tab) atIssuer(address string) bool {
	return b.world.issuer != "" && strings.HasPrefix(address, b.world.issuer)
}

// do runs actions and fails the test if one fails.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.Context, actions...); err != nil {
		b.Fatal(err)
	}
}

// get runs an action that has a result.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.Helper()
	value, err := chromedp.Run(b.Context, action)
	if err != nil {
		b.Fatal(err)
	}
	return value
}

// eval evaluates an expression in the page, through the DevTools protocol: the page's own policy allows no script.
func eval[T any](b *tab, expression string) T {
	b.Helper()
	return get(b, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// visit loads a page.
func (b *tab) visit(path string) {
	b.Helper()
	b.do(chromedp.Navigate(b.world.address(path)))
}

// reads fails the test unless the page shows all texts.
func (b *tab) reads(want ...string) {
	b.Helper()
	text := eval[string](b, `document.body.innerText`)
	for _, w := range want {
		if !strings.Contains(text, w) {
			b.Errorf("the page does not say %q:\n%s", w, text)
		}
	}
}

// leave does what loads another page, and waits for that.
func (b *tab) leave(action chromedp.Action[chromedp.Void]) {
	b.Helper()
	get(b, chromedp.WaitEvent(page.LoadEventFired, func(page.EventLoadEventFired) bool { return true }, action))
}

// download does what downloads a file, and returns the file.
func (b *tab) download(action chromedp.Action[chromedp.Void]) []byte {
	b.Helper()
	b.do(action)
	select {
	case path := <-b.finished:
		content, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		return content
	case <-b.Done():
		b.Fatal("nothing was downloaded")
		return nil
	}
}
