package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// axe-core judges accessibility (Mozilla Public License 2.0). It is fetched once and used in tests only.
const (
	axeURL  = "https://registry.npmjs.org/axe-core/-/axe-core-4.14.1.tgz"
	axeHash = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==" // SHA-512, as the registry tells it
	axeFile = "package/axe.min.js"
	// maxAxe bounds the archive and the file in it, in bytes.
	maxAxe = 32 << 20
)

// axe is the program; it is loaded at its first use.
var axe = sync.OnceValues(func() (string, error) {
	archive, err := axeArchive()
	if err != nil {
		return "", err
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err != nil {
			return "", fmt.Errorf("looking for %s: %w", axeFile, err)
		}
		if header.Name == axeFile {
			program, err := io.ReadAll(io.LimitReader(files, maxAxe))
			return string(program), err
		}
	}
})

// axeArchive is the package, from the cache folder if it is there.
func axeArchive() ([]byte, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(cache, "kubemdm", "axe", filepath.Base(axeURL))
	if archive, err := os.ReadFile(file); err == nil && genuine(archive) {
		return archive, nil
	}
	archive, err := fetch(axeURL)
	if err != nil {
		return nil, err
	}
	if !genuine(archive) {
		return nil, errors.New(axeURL + " is not what it was when this test was written")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	return archive, os.WriteFile(file, archive, 0o600)
}

func genuine(archive []byte) bool {
	sum := sha512.Sum512(archive)
	return base64.StdEncoding.EncodeToString(sum[:]) == axeHash
}

func fetch(url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: time.Minute}
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxAxe))
}

// accessible fails the test if axe-core finds what breaks level A or AA of the Web Content Accessibility Guidelines 2.2, or a practice of its own, and also if it
// cannot tell. The pictures are left out: they are hidden from assistive technology, since the steps say the same, and axe-core cannot tell what lies behind a
// letter in a drawing.
func (b *tab) accessible() {
	b.Helper()
	program, err := axe()
	if err != nil {
		b.Fatalf("getting axe-core: %v", err)
	}
	eval[bool](b, program+"; true")
	var found struct {
		Violations, Incomplete []struct {
			ID, Help string
			Nodes    []struct{ HTML, FailureSummary string }
		}
		Passes int
	}
	report := eval[string](b, `axe.run({exclude: [".picture"]}, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(
		r => JSON.stringify({violations: r.violations, incomplete: r.incomplete, passes: r.passes.length}))`)
	if err := json.Unmarshal([]byte(report), &found); err != nil {
		b.Fatal(err)
	}
	for _, rule := range append(found.Violations, found.Incomplete...) {
		for _, node := range rule.Nodes {
			b.Errorf("%s (%s): %s\n%s", rule.ID, rule.Help, node.HTML, node.FailureSummary)
		}
	}
	if found.Passes < 10 {
		b.Errorf("axe-core looked at %d rules only", found.Passes)
	}
}

// Every page is for everybody, by day and by night, whatever colour the company has.
func TestThePageIsAccessible(t *testing.T) {
	w := newWorld(t, branded(t))
	pale := newWorld(t, branded(t), func(w *world) { w.Config.Page.Color = "#ffe66d" })
	good, gone := "/enroll/"+w.token(t, "good", nil), "/enroll/"+w.token(t, "gone", expired)
	for name, c := range map[string]struct {
		*world
		device
		path string
	}{
		"a Mac":           {w, mac(), "/"},
		"a Mac's link":    {w, mac(), good},
		"a pale colour":   {pale, mac(), "/"},
		"an iPhone's":     {w, iPhone(), good},
		"a PC's link":     {w, pc(), good},
		"an expired link": {w, mac(), gone},
		"not Safari":      {w, iPhone().as(iPhoneChrome), good},
		"Android":         {w, pixel(), "/"},
	} {
		for _, d := range []device{c.device, c.night()} {
			t.Run(name+"/"+d.scheme(), func(t *testing.T) {
				b := c.open(t, d)
				b.visit(c.path)
				eval[bool](b, `document.querySelectorAll("details").forEach(d => d.open = true) ?? true`)
				b.accessible()
			})
		}
	}
}

// A judge that finds nothing anywhere is none.
func TestTheJudgeFindsWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	b := w.open(t, mac())
	b.visit("/")
	eval[string](b, `document.querySelector("label").remove(), document.querySelector("h1").style.color = "#eee"`)
	mirror := &deaf{TB: t}
	(&tab{TB: mirror, Context: b.Context}).accessible()
	if told := strings.Join(mirror.told, "\n"); !strings.Contains(told, "color-contrast") || !strings.Contains(told, "label") {
		t.Errorf("it found %s", told)
	}
}

// deaf is a test that keeps its errors for itself.
type deaf struct {
	testing.TB
	told []string
}

func (d *deaf) Helper() {}
func (d *deaf) Errorf(format string, args ...any) {
	d.told = append(d.told, fmt.Sprintf(format, args...))
}
