package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	// optional allows the folder to be empty or missing at first.
	optional bool
	// parse makes a value of the content; live is the value in use, nil at first.
	parse func(content files, live *T) (*T, error)

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

// reload reads the folder and says whether another value is in use now, or another refusal stands. A refused content is looked at again
// each time, since time alone may make it good.
func (f *folder[T]) reload() (anew, refusedAnew bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	content, err := readFiles(f.dir)
	if f.isVacant(content, err) {
		f.refused = nil
		return false, false
	}
	hash := content.hash()
	if err == nil && f.live != nil && f.refused == nil && hash == f.seen {
		return false, false
	}
	var value *T
	if err == nil {
		value, err = f.parse(content, f.live)
	}
	if err != nil {
		return false, f.refuse(err)
	}
	anew = f.live == nil || hash != f.seen
	f.live, f.seen, f.refused = value, hash, nil
	if anew && f.waiters != nil {
		close(f.waiters)
		f.waiters = nil
	}
	return anew, false
}

// isVacant says whether an optional folder has nothing yet.
func (f *folder[T]) isVacant(content files, err error) bool {
	return f.optional && f.live == nil && len(content) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}

// refuse keeps the reason and says whether it is another one than before.
func (f *folder[T]) refuse(err error) (anew bool) {
	err = fmt.Errorf("%s folder %s: %w", f.name, f.dir, err)
	anew = f.refused == nil || f.refused.Error() != err.Error()
	f.refused = err
	return anew
}
