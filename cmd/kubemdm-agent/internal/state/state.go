// Package state is what the agent keeps between its runs: a folder that ordinary people cannot write to, with files that only the system reads.
package state

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names of the files. The node key and the secret prove the agent to its server.
const (
	fileConfig  = "config.json"
	fileSecret  = "enroll-secret"
	fileNodeKey = "node-key"
)

// maxSecret is in bytes.
const maxSecret = 4 << 10

// Config is what an agent was installed with.
type Config struct {
	// Server is the server's address.
	Server string `json:"server"`
	// CA are certificates in PEM that are trusted beside those that Windows trusts; empty: none.
	CA string `json:"ca,omitempty"`
}

// Roots are the trusted certificates, nil if they are those of Windows.
func (c Config) Roots() (*x509.CertPool, error) {
	if c.CA == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the roots of the system: %w", err)
	}
	if !roots.AppendCertsFromPEM([]byte(c.CA)) {
		return nil, errors.New("the CA file holds no PEM certificate")
	}
	return roots, nil
}

// CleanSecret checks an enrolment secret as it is read from a file.
func CleanSecret(content []byte) (string, error) {
	secret := strings.TrimSpace(string(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))) // Windows' editors put a mark at the start
	if secret == "" || len(secret) > maxSecret || strings.ContainsAny(secret, "\x00\r\n") {
		return "", fmt.Errorf("the secret file does not hold one line of up to %d bytes", maxSecret)
	}
	return secret, nil
}

// Folder is a folder of an agent.
type Folder string

// Create makes the folder, and refuses one that somebody else has made: whoever owns it may read and change what is in it.
func (f Folder) Create() error {
	if err := createFolder(string(f)); err != nil {
		return fmt.Errorf("creating %s: %w", f, err)
	}
	return nil
}

// Remove removes the folder with the files in it; there may be none.
func (f Folder) Remove() error {
	entries, err := os.ReadDir(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Remove(f.path(entry.Name())); err != nil {
			return err
		}
	}
	return os.Remove(string(f))
}

// Config reads the configuration. The error wraps fs.ErrNotExist when no agent is installed.
func (f Folder) Config() (Config, error) {
	var c Config
	content, err := os.ReadFile(f.path(fileConfig))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(content, &c); err != nil {
		return c, fmt.Errorf("reading %s: %w", f.path(fileConfig), err)
	}
	return c, nil
}

// SetConfig keeps a configuration. With another server the node key goes: it is nobody else's business.
func (f Folder) SetConfig(c Config) error {
	old, err := f.Config()
	if err != nil || old.Server != c.Server {
		if err := f.ForgetNodeKey(); err != nil {
			return err
		}
	}
	content, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return f.write(fileConfig, content, writeShared)
}

// Secret reads the enrolment secret.
func (f Folder) Secret() (string, error) {
	content, err := os.ReadFile(f.path(fileSecret))
	return string(content), err
}

// SetSecret keeps an enrolment secret.
func (f Folder) SetSecret(secret string) error {
	return f.write(fileSecret, []byte(secret), writePrivate)
}

// NodeKey reads the node key, which is empty when there is none.
func (f Folder) NodeKey() (string, error) {
	content, err := os.ReadFile(f.path(fileNodeKey))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(content), err
}

// HasNodeKey is true when the agent is enrolled. It takes no right to read the key.
func (f Folder) HasNodeKey() bool {
	_, err := os.Stat(f.path(fileNodeKey))
	return err == nil
}

// SetNodeKey keeps a node key.
func (f Folder) SetNodeKey(key string) error { return f.write(fileNodeKey, []byte(key), writePrivate) }

// ForgetNodeKey removes the node key; there may be none.
func (f Folder) ForgetNodeKey() error {
	if err := os.Remove(f.path(fileNodeKey)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f Folder) path(name string) string { return filepath.Join(string(f), name) }

// write replaces a file as a whole, so that a crash leaves the old one or the new one.
func (f Folder) write(name string, content []byte, create func(path string, content []byte) error) error {
	path := f.path(name)
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := create(temporary, content); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(temporary, path)
}

// writeShared creates a file for all whom the folder is for.
func writeShared(path string, content []byte) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return fill(file, content)
}

// fill writes a file that was just created, to the disk.
func fill(file *os.File, content []byte) error {
	_, err := file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}
