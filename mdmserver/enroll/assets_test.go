package enroll_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const svg = `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`

// address finds a file that the page loads.
func address(t *testing.T, page, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(`"(/enroll-page/assets/` + pattern + `)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("the page loads no %s:\n%s", pattern, page)
	}
	return found[1]
}

func TestTheStylesheetHasTheColourAndIsKeptForEver(t *testing.T) {
	plain, yellow := newWorld(t), newWorld(t, func(w *world) { w.Config.Page.Color = "#ffd400" })
	path := address(t, plain.get("/", safari).Body.String(), `style-[0-9a-f]{16}\.css`)
	branded := address(t, yellow.get("/", safari).Body.String(), `style-[0-9a-f]{16}\.css`)
	if path == branded {
		t.Error("both colours have one address")
	}
	answer := yellow.get(branded, safari)
	says(t, answer, http.StatusOK, "--accent: #856e00", "--accent: #ffd400")
	if h := answer.Header(); h.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(h.Get("Cache-Control"), "immutable") {
		t.Errorf("headers %v", h)
	}
	missing := plain.get(branded, safari)
	if missing.Code != http.StatusNotFound || missing.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("what is not there: %d, %v", missing.Code, missing.Header())
	}
}

// A logo is shown as an image that runs nothing, is taken anew when its file changes, and one that is wrong keeps nothing else from working.
func TestTheLogoFollowsItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "logo")
	w := newWorld(t, func(w *world) { w.Config.Page.LogoFile = file })
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	put := func(content string) {
		t.Helper()
		at = at.Add(time.Second) // a file system may tell the time in large steps
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	none := func(when string) {
		t.Helper()
		answer := w.get("/", safari)
		says(t, answer, http.StatusOK, "Enrol your Mac")
		if strings.Contains(answer.Body.String(), "<img") {
			t.Errorf("%s there is a logo", when)
		}
	}
	none("without a file")
	put(svg)
	first := address(t, w.get("/", safari).Body.String(), "logo-[0-9a-f]{16}")
	answer := w.get(first, safari)
	says(t, answer, http.StatusOK, svg)
	if h := answer.Header(); h.Get("Content-Type") != "image/svg+xml" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") ||
		!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", h)
	}
	put(svg + "<!-- another -->")
	if second := address(t, w.get("/", safari).Body.String(), "logo-[0-9a-f]{16}"); second == first {
		t.Error("another logo has the same address")
	}
	says(t, w.get(first, safari), http.StatusNotFound)
	put("<html><script>alert(1)</script></html>")
	none("with a page in its place")
	none("once more")
	if n := strings.Count(w.log.String(), "logo of the enrolment page cannot be used"); n != 1 {
		t.Errorf("the log tells of it %d times", n)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	none("without its file")
}
