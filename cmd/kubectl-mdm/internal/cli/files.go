package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Standard names standard input or output in place of a file.
const Standard = "-"

// ReadFile reads a file, or standard input, of at most limit bytes.
func (e *Env) ReadFile(name string, limit int64) ([]byte, error) {
	in := e.In
	if name != Standard {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case int64(len(content)) > limit:
		return nil, fmt.Errorf("%s has more than %d bytes: it is another file than the one that is asked for", name, limit)
	case len(content) == 0:
		return nil, errors.New(name + " is empty")
	}
	return content, nil
}

// WriteFile writes a file that is no secret, or to standard output.
func (e *Env) WriteFile(name string, content []byte) error {
	if name == Standard {
		_, err := e.Out.Write(content)
		return err
	}
	return os.WriteFile(name, content, 0o644)
}
