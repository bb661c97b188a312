// Package conformance finds the schemas and sample messages of the protocols' specifications, which are not part of this repository.
package conformance

import (
	"os"
	"path/filepath"
	"testing"
)

// Folder is the environment variable that names the folder: "schemas" and "examples" are in it.
const Folder = "CONFORMANCE_DATA"

// Path returns a path in the folder. Without the folder it fails the test in CI, and says so elsewhere and returns false: the caller returns.
func Path(t testing.TB, name string) (path string, ok bool) {
	t.Helper()
	folder := os.Getenv(Folder)
	if folder == "" && os.Getenv("CI") != "" {
		t.Fatal(Folder + " is not set")
	}
	if folder == "" {
		t.Log("left out: " + Folder + " names no folder with the specifications' schemas and samples")
		return "", false
	}
	return filepath.Join(folder, name), true
}
