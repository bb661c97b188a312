// Package archive writes container images as archives that `ctr images import`, `docker load` and `kind load
// image-archive` read. An image is one uncompressed layer of static binaries; the same input gives the same bytes.
package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Image says what goes into an image.
type Image struct {
	// Name is the full reference with registry and tag, such as docker.io/kubemdm/manager:dev.
	Name string
	// Binaries are paths of executables; each is placed at the root of the image under its base name.
	Binaries []string
	// CACertificates is the path of a PEM bundle placed where Go programs look for it; empty for none.
	CACertificates string
	// User is the numeric user and group the image runs as, such as 65532:65532.
	User string
	// Entrypoint is the command line of the image.
	Entrypoint []string
	// Architecture is the GOARCH of the binaries.
	Architecture string
}

// caCertificatesPath is the first place where Go's crypto/x509 looks for roots on Linux.
const caCertificatesPath = "etc/ssl/certs/ca-certificates.crt"

// Media types of the OCI image specification 1.1.
const (
	mediaTypeIndex    = "application/vnd.oci.image.index.v1+json"
	mediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaTypeConfig   = "application/vnd.oci.image.config.v1+json"
	mediaTypeLayer    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type config struct {
	Architecture string        `json:"architecture"`
	OS           string        `json:"os"`
	Config       processConfig `json:"config"`
	RootFS       rootFS        `json:"rootfs"`
}

type processConfig struct {
	User       string
	Entrypoint []string
	WorkingDir string
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// dockerManifest is the entry of manifest.json, which `docker load` reads instead of index.json.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Write writes the archive of img to w: an OCI image layout (index.json, oci-layout, blobs) with Docker's manifest.json
// beside it.
func Write(w io.Writer, img Image) error {
	layer, err := img.layer()
	if err != nil {
		return err
	}
	layerBlob := describe(mediaTypeLayer, layer)
	configJSON, err := json.Marshal(config{
		Architecture: img.Architecture,
		OS:           "linux",
		Config:       processConfig{User: img.User, Entrypoint: img.Entrypoint, WorkingDir: "/"},
		RootFS:       rootFS{Type: "layers", DiffIDs: []string{layerBlob.Digest}},
	})
	if err != nil {
		return fmt.Errorf("encoding the image config: %w", err)
	}
	configBlob := describe(mediaTypeConfig, configJSON)
	manifestJSON, err := json.Marshal(manifest{
		SchemaVersion: 2, MediaType: mediaTypeManifest, Config: configBlob, Layers: []descriptor{layerBlob},
	})
	if err != nil {
		return fmt.Errorf("encoding the image manifest: %w", err)
	}
	manifestBlob := describe(mediaTypeManifest, manifestJSON)
	manifestBlob.Annotations = map[string]string{"io.containerd.image.name": img.Name}
	indexJSON, err := json.Marshal(index{SchemaVersion: 2, MediaType: mediaTypeIndex, Manifests: []descriptor{manifestBlob}})
	if err != nil {
		return fmt.Errorf("encoding the image index: %w", err)
	}
	dockerJSON, err := json.Marshal([]dockerManifest{{
		Config: configBlob.path(), RepoTags: []string{img.Name}, Layers: []string{layerBlob.path()},
	}})
	if err != nil {
		return fmt.Errorf("encoding manifest.json: %w", err)
	}

	out := newTarball(w)
	out.file("oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`))
	out.file("index.json", 0o644, indexJSON)
	out.file("manifest.json", 0o644, dockerJSON)
	out.file(manifestBlob.path(), 0o644, manifestJSON)
	out.file(configBlob.path(), 0o644, configJSON)
	out.file(layerBlob.path(), 0o644, layer)
	return out.close()
}

// WriteFile writes the archive of img to the file at path, which appears only when it is complete.
func WriteFile(path string, img Image) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".image-*")
	if err != nil {
		return fmt.Errorf("creating the archive: %w", err)
	}
	defer os.Remove(temporary.Name())
	defer temporary.Close()
	if err := Write(temporary, img); err != nil {
		return err
	}
	if err := temporary.Close(); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	return os.Rename(temporary.Name(), path)
}

func (img Image) layer() ([]byte, error) {
	var buffer bytes.Buffer
	layer := newTarball(&buffer)
	for _, binary := range img.Binaries {
		content, err := os.ReadFile(binary)
		if err != nil {
			return nil, fmt.Errorf("reading binary: %w", err)
		}
		layer.file(filepath.Base(binary), 0o755, content)
	}
	if img.CACertificates != "" {
		content, err := os.ReadFile(img.CACertificates)
		if err != nil {
			return nil, fmt.Errorf("reading CA certificates: %w", err)
		}
		layer.file(caCertificatesPath, 0o644, content)
	}
	err := layer.close()
	return buffer.Bytes(), err
}

func describe(mediaType string, blob []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(blob)), Size: len(blob)}
}

// path is where the blob lies in an OCI image layout.
func (d descriptor) path() string {
	return "blobs/" + strings.Replace(d.Digest, ":", "/", 1)
}

// tarball is a tar writer that keeps its first error, creates parent folders once and leaves out whatever would differ
// between two runs.
type tarball struct {
	writer  *tar.Writer
	folders map[string]bool
	err     error
}

func newTarball(w io.Writer) *tarball {
	return &tarball{writer: tar.NewWriter(w), folders: map[string]bool{".": true}}
}

func (t *tarball) file(name string, mode int64, content []byte) {
	t.folder(path.Dir(name))
	t.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))})
	if t.err == nil {
		_, t.err = t.writer.Write(content)
	}
}

func (t *tarball) folder(name string) {
	if t.folders[name] {
		return
	}
	t.folders[name] = true
	t.folder(path.Dir(name))
	t.header(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
}

func (t *tarball) header(h tar.Header) {
	if t.err == nil {
		t.err = t.writer.WriteHeader(&h)
	}
}

func (t *tarball) close() error {
	if t.err == nil {
		t.err = t.writer.Close()
	}
	if t.err != nil {
		return fmt.Errorf("writing tar: %w", t.err)
	}
	return nil
}
