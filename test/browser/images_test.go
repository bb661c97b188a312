package browser

import (
	"bytes"
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "take the pictures of the documentation anew")

const (
	images = "../../docs/images"
	// maxImage bounds a picture, in bytes.
	maxImage = 150 << 10
)

// The documentation shows the page as it is: for each platform, by day and by night, as somebody sees it who came by a link.
func TestImagesShowThePage(t *testing.T) {
	w := newWorld(t, branded(t))
	link := "/enroll/" + w.token(t, "staff", nil)
	for name, d := range map[string]device{"macos": mac(), "ios": iPhone(), "windows": pc()} {
		for _, d := range []device{d, d.night()} {
			name := "enroll-" + name + "-" + d.scheme() + ".png"
			t.Run(name, func(t *testing.T) {
				b := w.open(t, d)
				b.visit(link)
				if d.userAgent == windowsEdge { // the picture is public
					eval[string](b, `document.getElementById("password").value = "K3QZ-example-code"`)
				}
				check(t, filepath.Join(images, name), get(b, chromedp.FullScreenshot(100)))
			})
		}
	}
}

// check compares the size of a picture with the one of the documentation: how letters look depends on the fonts of the machine.
func check(t *testing.T, path string, shot []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, shot, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(kept) > maxImage {
		t.Errorf("%s has %d bytes, more than %d", path, len(kept), maxImage)
	}
	was, err := png.DecodeConfig(bytes.NewReader(kept))
	if err != nil {
		t.Fatal(err)
	}
	is, err := png.DecodeConfig(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	if was.Width != is.Width {
		t.Errorf("%s is %d pixels wide, the page %d: take it anew with -update", path, was.Width, is.Width)
	}
}
