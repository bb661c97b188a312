package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/hack/image/archive"
)

// builder builds artifacts into the cache. The folder of a module there carries a hash of everything that goes into its
// artifacts, so a file that exists is up to date.
type builder struct {
	source  string            // the folder hack/cluster
	folders map[string]string // module -> its folder in the cache
	flags   map[string]string // module -> linker flags
	out     io.Writer         // progress lines
}

func newBuilder(out io.Writer) (*builder, error) {
	source, err := sourceFolder()
	if err != nil {
		return nil, err
	}
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	b := &builder{source: source, folders: map[string]string{}, flags: map[string]string{}, out: out}
	for _, a := range artifacts {
		if b.folders[a.module] != "" {
			continue
		}
		versions, hash, err := readModule(filepath.Join(source, a.module))
		if err != nil {
			return nil, err
		}
		b.flags[a.module] = linkFlags(a.module, versions)
		hash = fmt.Sprintf("%x", sha256.Sum256([]byte(hash+b.flags[a.module]+runtime.Version()+runtime.GOARCH)))
		b.folders[a.module] = filepath.Join(cache, "bin", a.module+"-"+hash[:12])
	}
	return b, nil
}

// sourceFolder finds hack/cluster from the working directory, which is anywhere in the project.
func sourceFolder() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		source := filepath.Join(dir, "hack", "cluster")
		if _, err := os.Stat(filepath.Join(source, kubernetesModule, "go.mod")); err == nil {
			return source, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run this inside a checkout of the project: hack/cluster was not found above the working directory")
		}
	}
}

// cacheFolder is $XDG_CACHE_HOME/kubemdm, or ~/.cache/kubemdm.
func cacheFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache folder (set XDG_CACHE_HOME): %w", err)
	}
	return filepath.Join(cache, "kubemdm"), nil
}

var requirement = regexp.MustCompile(`(?m)^(?:require)?\s+(\S+) (v\S+)`)

// readModule returns the versions that the module in dir requires and a hash of its files.
func readModule(dir string) (versions map[string]string, hash string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, "", err
	}
	versions = map[string]string{}
	sum := sha256.New()
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, "", fmt.Errorf("reading module %s: %w", filepath.Base(dir), err)
		}
		fmt.Fprintf(sum, "%s %x\n", filepath.Base(file), sha256.Sum256(content))
		if filepath.Base(file) == "go.mod" {
			for _, match := range requirement.FindAllStringSubmatch(string(content), -1) {
				versions[match[1]] = match[2]
			}
		}
	}
	return versions, fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// folder returns where the artifacts of the module are.
func (b *builder) folder(module string) string { return b.folders[module] }

// artifact returns where the artifact called name is.
func (b *builder) artifact(name string) string {
	for _, a := range artifacts {
		if a.name == name {
			return filepath.Join(b.folders[a.module], name)
		}
	}
	panic("no artifact is called " + name)
}

// build makes sure that the artifacts exist, telling the progress of those that have to be built.
func (b *builder) build(ctx context.Context, wanted []artifact) error {
	missing := b.missing(wanted)
	if len(missing) == 0 {
		return nil
	}
	unlock, err := lockFile(filepath.Join(filepath.Dir(b.folder(kubernetesModule)), "lock"))
	if err != nil {
		return fmt.Errorf("locking the cache: %w", err)
	}
	defer unlock()
	missing = b.missing(wanted) // another build may have held the lock
	if err := checkBuildTools(missing); err != nil {
		return err
	}
	for i, a := range missing {
		fmt.Fprintf(b.out, "[%d/%d] %s ... ", i+1, len(missing), a.name)
		start := time.Now()
		if err := b.produce(ctx, a); err != nil {
			fmt.Fprintln(b.out, "failed")
			return fmt.Errorf("building %s: %w", a.name, err)
		}
		fmt.Fprintf(b.out, "%.0fs\n", time.Since(start).Seconds())
	}
	return nil
}

func (b *builder) missing(wanted []artifact) []artifact {
	var missing []artifact
	for _, a := range wanted {
		if _, err := os.Stat(b.artifact(a.name)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, a)
		}
	}
	return missing
}

// produce builds one artifact in a folder beside its place and moves it there when it is complete.
func (b *builder) produce(ctx context.Context, a artifact) error {
	if err := os.MkdirAll(b.folder(a.module), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(b.folder(a.module), ".build-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	result := filepath.Join(work, strings.TrimSuffix(a.name, ".tar"))
	switch {
	case a.copies != "":
		err = b.copy(ctx, a, result)
	case a.image != "":
		if err = b.compile(ctx, a, result); err == nil {
			err = wrap(a, result)
			result += ".tar"
		}
	default:
		err = b.compile(ctx, a, result)
	}
	if err != nil {
		return err
	}
	return os.Rename(result, b.artifact(a.name))
}

func (b *builder) compile(ctx context.Context, a artifact, out string) error {
	args := []string{"build", "-trimpath", "-ldflags", b.flags[a.module], "-o", out}
	cgo := "CGO_ENABLED=0"
	if a.seccomp {
		args, cgo = append(args, "-tags", "seccomp"), "CGO_ENABLED=1"
	}
	_, err := b.goCommand(ctx, a.module, cgo, append(args, a.pkg)...)
	return err
}

func wrap(a artifact, binary string) error {
	return archive.WriteFile(binary+".tar", archive.Image{
		Name:         a.image,
		Binaries:     []string{binary},
		User:         a.user,
		Entrypoint:   []string{"/" + filepath.Base(binary)},
		Architecture: runtime.GOARCH,
	})
}

func (b *builder) copy(ctx context.Context, a artifact, out string) error {
	if _, err := b.goCommand(ctx, a.module, "CGO_ENABLED=0", "mod", "download", a.pkg); err != nil {
		return err
	}
	dir, err := b.goCommand(ctx, a.module, "CGO_ENABLED=0", "list", "-m", "-f", "{{.Dir}}", a.pkg)
	if err != nil {
		return err
	}
	return os.CopyFS(out, os.DirFS(filepath.Join(dir, a.copies)))
}

// goCommand runs go in the folder of the module with one more environment variable and returns its trimmed output.
func (b *builder) goCommand(ctx context.Context, module, env string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = filepath.Join(b.source, module)
	command.Env = append(os.Environ(), "GOWORK=off", env)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, stderr.String())
	}
	return strings.TrimSpace(string(output)), nil
}
