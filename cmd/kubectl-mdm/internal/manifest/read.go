package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

const (
	// fileLimit bounds one file, and setLimit what is read in all.
	fileLimit = 16 << 20
	setLimit  = 256 << 20
	// filesLimit bounds the files of a folder, so that a wrong folder ends soon.
	filesLimit = 10_000
)

// Object is one object of the group mdm.kubemdm.io in a file.
type Object struct {
	*unstructured.Unstructured
	// File is its file as it was named, "-" for standard input, and Line where the object begins.
	File string
	Line int
	// Problems are what a strict reader refuses: duplicate keys.
	Problems []Problem
	fields   *tree
}

// Problem is something on a line of a file that is no sound YAML.
type Problem struct {
	File    string
	Line    int
	Message string
}

// Set is what some files hold.
type Set struct {
	// Objects are those of mdm.kubemdm.io, in the order of the files.
	Objects []*Object
	// Broken are documents that cannot be read.
	Broken []Problem
	// Ignored counts objects of other kinds, by apiVersion and kind.
	Ignored map[string]int
	// Files counts the files that were read, Patches those that were left out, since kustomize makes whole objects of them and of others.
	Files, Patches int
}

// Read reads files, folders with all that is below them (*.yaml, *.yml, *.json) and "-", standard input.
func Read(e *cli.Env, names []string) (*Set, error) {
	s := &Set{Ignored: map[string]int{}}
	files, patches, err := list(names)
	s.Patches = patches
	if err != nil {
		return nil, err
	}
	total := 0
	for _, file := range files {
		content, err := e.ReadFile(file, fileLimit)
		if err != nil {
			return nil, err
		}
		if total += len(content); total > setLimit {
			return nil, fmt.Errorf("more than %d bytes in all: name fewer files", setLimit)
		}
		s.Files++
		s.add(file, content)
	}
	return s, nil
}

// list names the files behind the arguments, each once, and counts those that are parts of objects.
func list(names []string) (files []string, parts int, err error) {
	for _, name := range names {
		if name == cli.Standard {
			files = append(files, name)
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, 0, err
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		below, left, err := walk(name)
		if err != nil {
			return nil, 0, err
		}
		files, parts = append(files, below...), parts+left
	}
	var once []string
	for _, file := range files {
		if !slices.Contains(once, file) {
			once = append(once, file)
		}
	}
	return once, parts, nil
}

// walk lists the manifests of a folder. Hidden folders, such as .git, and what only kustomize reads are left out; left counts files with parts of objects.
func walk(folder string) (files []string, left int, err error) {
	var parts []string
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != folder && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir():
			parts = append(parts, patches(path)...)
			return nil
		case !manifest(entry.Name()) || empty(entry):
			return nil
		case len(files) == filesLimit:
			return fmt.Errorf("%s has more than %d files: name the folder with the manifests", folder, filesLimit)
		}
		files = append(files, path)
		return nil
	})
	if err == nil && len(files) == 0 {
		err = errors.New(folder + " has no file *.yaml, *.yml or *.json")
	}
	whole := slices.DeleteFunc(files, func(file string) bool { return slices.Contains(parts, file) })
	return whole, len(files) - len(whole), err
}

func empty(entry fs.DirEntry) bool {
	info, err := entry.Info()
	return err == nil && info.Size() == 0
}

func manifest(name string) bool {
	base := strings.TrimSuffix(name, filepath.Ext(name))
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) && !strings.EqualFold(base, kustomization)
}

// add takes the documents of a file.
func (s *Set) add(file string, content []byte) {
	for _, d := range split(content) {
		root, err := parse(d)
		if err != nil {
			s.Broken = append(s.Broken, Problem{File: file, Line: err.line, Message: err.message})
			continue
		}
		if root != nil {
			s.take(file, root)
		}
	}
}

// take takes one object, or the items of a List.
func (s *Set) take(file string, root *tree) {
	content, isMap := root.value.(map[string]any)
	if !isMap {
		s.Broken = append(s.Broken, Problem{File: file, Line: root.line(), Message: "not an object: a manifest has apiVersion, kind and metadata"})
		return
	}
	u := &unstructured.Unstructured{Object: content}
	version, kind := text(content["apiVersion"]), text(content["kind"])
	switch {
	case kind == "" && (version != "" || content["metadata"] != nil):
		s.Broken = append(s.Broken, Problem{File: file, Line: root.line(), Message: "kind: Required value"})
	case kind == "": // values of a chart, or the like
		s.Ignored["without a kind"]++
	case isList(version, kind):
		for _, item := range root.items() {
			s.take(file, item)
		}
	case ours(version):
		s.Objects = append(s.Objects, &Object{Unstructured: u, File: file, Line: root.line(), Problems: root.duplicates(file), fields: root})
	default:
		s.Ignored[cmp.Or(version, "no apiVersion")+" "+kind]++
	}
}

// isList says whether an object is a list of others, as kubectl get writes it.
func isList(version, kind string) bool {
	return version == "v1" && kind == "List" || ours(version) && strings.HasSuffix(kind, "List")
}

func ours(version string) bool {
	group, _, _ := strings.Cut(version, "/")
	return group == mdmv1alpha1.GroupVersion.Group
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// LineOf is the line on which a field stands, or what is nearest above it. The path is that of the API server's messages, such as
// spec.profiles[0].name.
func (o *Object) LineOf(path string) int { return o.fields.find(path) }
