package docs

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// reference is generated from the API, and so is true of it.
const reference = "docs/reference.md"

// pages returns what people wrote by path below the root of the repository: README.md, CONTRIBUTING.md and all below docs.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names := []string{"README.md", "CONTRIBUTING.md"}
	err := fs.WalkDir(os.DirFS(root), "docs", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" && path != reference {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		found[name] = string(text)
	}
	return found
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	// fenced is a block of code, the language of which is its first group.
	fenced = regexp.MustCompile("(?ms)^[ \t]*```([a-z]*)\n(.*?)^[ \t]*```")
	// dropped are the characters that an anchor is without, as GitHub makes it of a heading.
	dropped = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// Every relative link leads to a file or folder, and its fragment to a heading.
func TestLinks(t *testing.T) {
	all := pages(t)
	for name, text := range all {
		for _, match := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			to, err := url.Parse(match[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if to.IsAbs() {
				continue
			}
			target := name
			if to.Path != "" {
				target = filepath.Join(filepath.Dir(name), to.Path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, match[1])
			} else if to.Fragment != "" && !anchors(all[target])[to.Fragment] {
				t.Errorf("%s links to %s, which has no such heading", name, match[1])
			}
		}
	}
}

// anchors are the fragments that lead to the headings of a page.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		words := dropped.ReplaceAllString(strings.ToLower(match[1]), "")
		found[strings.ReplaceAll(words, " ", "-")] = true
	}
	return found
}

// Whoever reads the index finds every page but the decisions, which their folder lists.
func TestIndexIsComplete(t *testing.T) {
	all := pages(t)
	for name := range all {
		below, inDocs := strings.CutPrefix(name, "docs/")
		if inDocs && below != "README.md" && !strings.HasPrefix(below, "adr/") && !strings.Contains(all["docs/README.md"], "]("+below+")") {
			t.Errorf("docs/README.md does not link to %s", below)
		}
	}
}
