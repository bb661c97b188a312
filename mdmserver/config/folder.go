package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// maxFile bounds one mounted file, in bytes: a Secret as a whole holds at most 1 MiB.
const maxFile = 1 << 20

// files is the content of a mounted folder by file name.
type files map[string][]byte

// readFiles reads a folder as kubelet mounts it: files are links into a hidden folder that is swapped at once, names with two dots are
// kubelet's own.
func readFiles(dir string) (files, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: mount the Secret there", err)
	}
	content := files{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") || e.IsDir() {
			continue
		}
		b, err := readFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		content[e.Name()] = b
	}
	return content, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return b, nil
}

func (f files) hash() [sha256.Size]byte {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(f)) {
		fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(f[name]))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// need returns a file's content or an error that says which file is missing.
func (f files) need(name string) ([]byte, error) {
	b, ok := f[name]
	if !ok || len(b) == 0 {
		return nil, fmt.Errorf("the file %s is missing or empty", name)
	}
	return b, nil
}

// folder keeps the last good content of one mounted folder.
type folder[T any] struct {
	name, dir string
	// caDir, if it is not empty, is another folder, whose CA file wins.
	caDir string
	// optional allows the folder to be empty or missing at first.
	optional bool
	// environment has the files that stand in for those that the folder lacks, pin the PIN of a PKCS#11 token for a folder that has none.
	environment files
	pin         string
	// parse makes a value of the content; live is the value in use, nil at first.
	parse func(content files, live *T) (*T, error)

	// loading is held by the reload that is under way, which may wait for a KMS; opened belongs to it.
	loading sync.Mutex
	opened  opened

	mu      sync.RWMutex
	live    *T
	seen    [sha256.Size]byte
	refused error
	waiters chan struct{} // closed at the next change; nil while nobody waits
}

// get returns the value in use, nil when there never was a good one.
func (f *folder[T]) get() *T {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.live
}

// refusal returns why the newest content is not in use, nil if it is.
func (f *folder[T]) refusal() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.refused
}

// changed returns a channel that is closed at the next change.
func (f *folder[T]) changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiters == nil {
		f.waiters = make(chan struct{})
	}
	return f.waiters
}

func (f *folder[T]) label() string { return f.name }

// supplement takes what the environment has for the folder.
func (f *folder[T]) supplement(env environment, log *slog.Logger) error {
	content, unknown, err := env.of(f.name)
	if err != nil {
		return err
	}
	for _, name := range unknown {
		log.Warn("an environment variable looks like a credential and is none that this folder can have", "folder", f.name, "variable", name)
	}
	f.environment, f.pin = content, env.value(PINVariable)
	return nil
}

// reload reads the folder and says whether another value is in use now, or another refusal stands. A refused content is looked at again
// each time, since time alone may make it good. While another reload is under way it does nothing.
func (f *folder[T]) reload() (anew, refusedAnew bool) {
	if !f.loading.TryLock() {
		return false, false
	}
	defer f.loading.Unlock()
	live, refused := f.get(), f.refusal()
	content, err := f.read()
	if f.isVacant(content, live, err) {
		return false, f.settle(f.accept)
	}
	hash := content.hash()
	if err == nil && live != nil && refused == nil && hash == f.seen {
		return false, false
	}
	var value *T
	if err == nil {
		content, err = f.opened.open(content, hash, content.pin(f.pin))
	}
	if err == nil {
		value, err = f.parse(content, live)
	}
	if err != nil {
		return false, f.settle(func() bool { return f.refuse(err) })
	}
	return f.settle(func() bool { return f.use(value, hash) }), false
}

// read returns what the folder has, and from the environment what it lacks.
func (f *folder[T]) read() (files, error) {
	content, err := readFiles(f.dir)
	if len(f.environment) > 0 && errors.Is(err, fs.ErrNotExist) {
		content, err = files{}, nil
	}
	for name, b := range f.environment {
		if _, ok := content[name]; !ok && err == nil {
			content[name] = b
		}
	}
	if f.caDir == "" || err != nil {
		return content, err
	}
	content[serverconfig.CAFile], err = readFile(filepath.Join(f.caDir, serverconfig.CAFile))
	return content, err
}

// settle changes the state that others read.
func (f *folder[T]) settle(change func() bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return change()
}

// isVacant says whether an optional folder has nothing yet.
func (f *folder[T]) isVacant(content files, live *T, err error) bool {
	return f.optional && live == nil && len(content) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}

// accept forgets a refusal. The lock must be held.
func (f *folder[T]) accept() bool {
	f.refused = nil
	return false
}

// use puts a value into use and says whether its content is another one than before. The lock must be held.
func (f *folder[T]) use(value *T, hash [sha256.Size]byte) (anew bool) {
	anew = f.live == nil || hash != f.seen
	f.live, f.seen, f.refused = value, hash, nil
	if anew && f.waiters != nil {
		close(f.waiters)
		f.waiters = nil
	}
	return anew
}

// refuse keeps the reason and says whether it is another one than before. The lock must be held.
func (f *folder[T]) refuse(err error) (anew bool) {
	err = fmt.Errorf("%s folder %s: %w", f.name, f.dir, err)
	anew = f.refused == nil || f.refused.Error() != err.Error()
	f.refused = err
	return anew
}
