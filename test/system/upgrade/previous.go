// Package upgrade takes the operator from the chart of the release before to this one and back on a real cluster, under devices that never stop to connect.
package upgrade

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kubemdm/kubemdm/test/system/harness"
)

const (
	// previous is the last commit of chart 0.1.0.
	previous = "cb4d5519610dee707ec76c4dc20ee4b5b6fd8c01"
	// previousTag is the tag of the images that are built from it.
	previousTag = "previous"
)

// release is the chart of an earlier release, unpacked with all its source.
type release struct{ dir string }

// prepare unpacks the earlier release into dir, builds its images and loads them into the local cluster.
func prepare(ctx context.Context, dir string) (*release, error) {
	root, err := output(ctx, "", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	source := filepath.Join(dir, "source")
	packed, err := output(ctx, root, "git", "archive", previous)
	if err != nil {
		return nil, fmt.Errorf("%w\nthe release before this one is in the history, of which a shallow clone has too little: git fetch --unshallow", err)
	}
	if err := unpack(strings.NewReader(packed), source); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", previous, err)
	}
	load := []string{"load"}
	for _, program := range []string{"manager", "mdmserver"} {
		// The same flags as in the Makefile: what both releases import is compiled once.
		binary, image := filepath.Join(dir, program), filepath.Join(dir, program+".tar")
		if _, err := output(ctx, source, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "./cmd/"+program); err != nil {
			return nil, err
		}
		_, err := output(ctx, source, "go", "run", "./hack/image", "--name=docker.io/kubemdm/"+program+":"+previousTag, "--binary="+binary,
			"--user=65532:65532", "--entrypoint=/"+program, "--ca-certificates=/etc/ssl/certs/ca-certificates.crt", "--out="+image)
		if err != nil {
			return nil, err
		}
		load = append(load, image)
	}
	return &release{dir: source}, harness.LocalCluster(ctx, io.Discard, load...)
}

// chart is the folder of the earlier chart.
func (r *release) chart() string { return filepath.Join(r.dir, harness.Chart) }

func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var out, diagnosis bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnosis
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, args[0], err, &diagnosis)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// unpack writes the files of a tar archive below dir.
func unpack(archive io.Reader, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for files := tar.NewReader(archive); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := write(root, header, files); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func write(root *os.Root, header *tar.Header, content io.Reader) error {
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(strings.TrimSuffix(header.Name, "/"), 0o755)
	case tar.TypeReg:
		file, err := root.OpenFile(header.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, header.FileInfo().Mode().Perm())
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	default: // the comment that git writes, and links, of which no package is made
		return nil
	}
}
