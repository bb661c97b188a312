package archive_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/hack/image/archive"
)

func TestWriteIsDeterministic(t *testing.T) {
	first, second := write(t, newImage(t)), write(t, newImage(t))
	if !bytes.Equal(first, second) {
		t.Error("the same input in two folders gave different bytes")
	}
}

// TestArchive reads the archive as containerd does (index.json) and as Docker does (manifest.json).
func TestArchive(t *testing.T) {
	img := newImage(t)
	files := untar(t, write(t, img))

	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	decode(t, files["index.json"], &index)
	if got := index.Manifests[0].Annotations["io.containerd.image.name"]; got != img.Name {
		t.Errorf("containerd would call the image %q", got)
	}
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	decode(t, blob(t, files, index.Manifests[0].Digest), &manifest)

	var docker []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	decode(t, files["manifest.json"], &docker)
	if len(docker) != 1 || !slices.Equal(docker[0].RepoTags, []string{img.Name}) ||
		docker[0].Config != "blobs/"+strings.Replace(manifest.Config.Digest, ":", "/", 1) {
		t.Errorf("Docker would read %+v", docker)
	}

	var config struct {
		Architecture, OS string
		Config           struct {
			User       string
			Entrypoint []string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	decode(t, blob(t, files, manifest.Config.Digest), &config)
	if config.Architecture != "arm64" || config.OS != "linux" || config.Config.User != "65532:65532" ||
		!slices.Equal(config.Config.Entrypoint, []string{"/manager", "--verbose"}) {
		t.Errorf("the config is %+v", config)
	}
	// The layer is not compressed, so its digest is also the identity of its content.
	if len(manifest.Layers) != 1 || !slices.Equal(config.RootFS.DiffIDs, []string{manifest.Layers[0].Digest}) {
		t.Errorf("layers %v, diff ids %v", manifest.Layers, config.RootFS.DiffIDs)
	}
	layer := untar(t, blob(t, files, manifest.Layers[0].Digest))
	if got := string(layer["manager"]) + string(layer["tool"]) + string(layer["etc/ssl/certs/ca-certificates.crt"]); got != "managertoolroots" {
		t.Errorf("the layer has %q", got)
	}
}

func TestLayerHasModesAndFolders(t *testing.T) {
	got := map[string]int64{}
	for _, header := range headers(t, layerOf(t, newImage(t))) {
		got[header.Name] = header.Mode
		if header.Uid != 0 || header.Gid != 0 || header.ModTime.Unix() != 0 {
			t.Errorf("%s: owner %d:%d, time %v", header.Name, header.Uid, header.Gid, header.ModTime)
		}
	}
	want := map[string]int64{
		"manager": 0o755, "tool": 0o755, "etc/": 0o755, "etc/ssl/": 0o755, "etc/ssl/certs/": 0o755,
		"etc/ssl/certs/ca-certificates.crt": 0o644,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestCertificatesOnlyWhenAsked(t *testing.T) {
	img := newImage(t)
	img.CACertificates = ""
	if got := headers(t, layerOf(t, img)); len(got) != 2 {
		t.Errorf("the layer has %d entries, want the two binaries", len(got))
	}
}

func TestWriteFileLeavesNothingBehindOnError(t *testing.T) {
	img := newImage(t)
	img.Binaries = append(img.Binaries, "missing")
	dir := t.TempDir()
	if err := archive.WriteFile(filepath.Join(dir, "image.tar"), img); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v %v, want nothing", entries, err)
	}
}

func newImage(t *testing.T) archive.Image {
	t.Helper()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return archive.Image{
		Name:           "docker.io/kubemdm/manager:dev",
		Binaries:       []string{file("manager", "manager"), file("tool", "tool")},
		CACertificates: file("bundle.pem", "roots"),
		User:           "65532:65532",
		Entrypoint:     []string{"/manager", "--verbose"},
		Architecture:   "arm64",
	}
}

func write(t *testing.T, img archive.Image) []byte {
	t.Helper()
	var buffer bytes.Buffer
	if err := archive.Write(&buffer, img); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// layerOf returns the layer, which is the one blob that is no JSON.
func layerOf(t *testing.T, img archive.Image) []byte {
	t.Helper()
	for name, content := range untar(t, write(t, img)) {
		if strings.HasPrefix(name, "blobs/") && len(content) > 0 && !json.Valid(content) {
			return content
		}
	}
	t.Fatal("no layer")
	return nil
}

func headers(t *testing.T, content []byte) []tar.Header {
	t.Helper()
	var list []tar.Header
	for reader := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, *header)
	}
}

func untar(t *testing.T, content []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for reader := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err == nil {
			files[header.Name], err = io.ReadAll(reader)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// blob returns the blob of the digest after checking that it is that.
func blob(t *testing.T, files map[string][]byte, digest string) []byte {
	t.Helper()
	content := files["blobs/"+strings.Replace(digest, ":", "/", 1)]
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(content)); got != digest {
		t.Fatalf("the blob of %s has digest %s", digest, got)
	}
	return content
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%v in %q", err, content)
	}
}
