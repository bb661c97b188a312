package report

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"time"
)

// folder is what all files of a bundle are in.
const folder = "kubemdm-report/"

// file is one of a bundle.
type file struct {
	name    string
	content []byte
}

// bundle writes files as a tar.gz.
func bundle(w io.Writer, files []file, now time.Time) error {
	zip := gzip.NewWriter(w)
	archive := tar.NewWriter(zip)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: folder + f.name, Mode: 0o600, Size: int64(len(f.content)), ModTime: now.UTC().Truncate(time.Second)}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.content); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), zip.Close())
}
