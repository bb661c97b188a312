// Package pool lets many objects share what they have in common.
package pool

import "sync"

// size bounds a pool: what devices have in common are a few hundred values.
const size = 1 << 14

// Pool holds one copy of each value. One that is full is begun anew. It is safe for concurrent use.
type Pool[T any] struct {
	mu   sync.Mutex
	kept map[string]T
}

// Share returns the copy for a key, which is the given value if there is none yet. Nobody may change it.
func (p *Pool[T]) Share(key string, value T) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.kept[key]; ok {
		return known
	}
	if p.kept == nil || len(p.kept) == size {
		p.kept = map[string]T{}
	}
	p.kept[key] = value
	return value
}

// Words is a Pool of texts.
type Words struct{ pool Pool[string] }

// Share makes texts share the bytes of those that are equal.
func (w *Words) Share(words ...*string) {
	for _, word := range words {
		if *word != "" {
			*word = w.pool.Share(*word, *word)
		}
	}
}
