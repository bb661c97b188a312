package enroll

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

//go:embed pages
var files embed.FS

// logoPolicy lets an SVG bring its own styles and nothing else, also when somebody opens it by itself.
const logoPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

// assets are the files that the page loads. Their names have the digest of their content, so browsers keep them for ever.
type assets struct {
	style, icon string // paths
	content     map[string]asset
}

type asset struct {
	mediaType string
	content   []byte
}

// newAssets prepares the stylesheet for a colour, #rrggbb, or the default one if it is empty.
func newAssets(colour string) (*assets, error) {
	if colour == "" {
		colour = defaultColour
	}
	accent, err := parseColour(colour)
	if err != nil {
		return nil, fmt.Errorf("page.color: %w", err)
	}
	a := &assets{content: map[string]asset{}}
	style, err := files.ReadFile("pages/style.css")
	if err != nil {
		return nil, err
	}
	colours := fmt.Sprintf(":root { --accent: %s }\n@media (prefers-color-scheme: dark) { :root { --accent: %s } }\n", light.readable(accent), dark.readable(accent))
	a.style = a.add("style", ".css", "text/css; charset=utf-8", append(style, colours...))
	icon, err := files.ReadFile("pages/icon.svg")
	if err != nil {
		return nil, err
	}
	a.icon = a.add("icon", ".svg", "image/svg+xml", icon)
	return a, nil
}

// add returns the path of a file.
func (a *assets) add(name, suffix, mediaType string, content []byte) string {
	file := name + "-" + digest(content) + suffix
	a.content[file] = asset{mediaType, content}
	return pathAssets + file
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

// asset serves a file. The logo has whatever name the page gave it.
func (p *Page) asset(w http.ResponseWriter, r *http.Request) {
	name, header := r.PathValue("name"), w.Header()
	found, ok := p.assets.content[name]
	policy := "default-src 'none'"
	if strings.HasPrefix(name, logoPrefix) {
		found, ok = p.logo.get()
		ok, policy = ok && name == logoPrefix+digest(found.content), logoPolicy
	}
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", policy)
	if !ok {
		header.Set("Cache-Control", "no-store")
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	header.Set("Content-Type", found.mediaType)
	header.Set("Content-Length", strconv.Itoa(len(found.content)))
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.content))
}

const logoPrefix = "logo-"

// logo is the image in a mounted file. It is read again when the file changes; one that is wrong or gone is not shown.
type logo struct {
	path string // empty: there is none
	log  *slog.Logger

	mu      sync.Mutex
	seen    fs.FileInfo // of the content in use; nil if there is none
	current asset
	refused string // why the file is not in use, as it was logged
}

func newLogo(path string, log *slog.Logger) *logo { return &logo{path: path, log: log} }

// get returns the logo if there is a good one.
func (l *logo) get() (asset, bool) {
	if l.path == "" {
		return asset{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	info, err := os.Stat(l.path)
	if err == nil && l.seen != nil && os.SameFile(info, l.seen) && info.ModTime().Equal(l.seen.ModTime()) && info.Size() == l.seen.Size() {
		return l.current, l.current.mediaType != ""
	}
	if err == nil {
		l.seen = info
		l.current, err = readLogo(l.path)
	} else {
		l.seen, l.current = nil, asset{}
	}
	l.tell(err)
	return l.current, l.current.mediaType != ""
}

// tell logs once why a logo is not in use.
func (l *logo) tell(err error) {
	reason := ""
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		reason = err.Error()
	}
	if reason != "" && reason != l.refused {
		l.log.Warn("the logo of the enrolment page cannot be used", "error", reason)
	}
	l.refused = reason
}

func readLogo(path string) (asset, error) {
	f, err := os.Open(path)
	if err != nil {
		return asset{}, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, serverconfig.MaxLogo+1))
	if err != nil {
		return asset{}, err
	}
	mediaType, err := serverconfig.LogoType(content)
	if err != nil {
		return asset{}, err
	}
	return asset{mediaType, content}, nil
}

// address is where the page finds the logo, empty without one.
func (l *logo) address() string {
	image, ok := l.get()
	if !ok {
		return ""
	}
	return pathAssets + logoPrefix + digest(image.content)
}
