package harness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Namespace is where the operator runs; release is its name in Helm.
const (
	Namespace = "kubemdm-system"
	release   = "kubemdm"
)

// Install installs the operator from the tree's chart with images of the tag dev, or upgrades it, and waits until it is ready.
func Install(ctx context.Context) error {
	root, err := root(ctx)
	if err != nil {
		return err
	}
	// The tag of images under development stays the same: a new image has to show in the pod.
	digest, err := imageDigest("manager")
	if err != nil {
		return err
	}
	return helm(ctx, "upgrade", release, filepath.Join(root, "charts", "kubemdm"), "--install", "--namespace="+Namespace, "--create-namespace",
		"--set=image.tag=dev,serverImage.tag=dev", "--set=podAnnotations.image="+digest, "--wait", "--timeout="+Patience.String())
}

// Uninstall removes the operator.
func Uninstall(ctx context.Context) error {
	return helm(ctx, "uninstall", release, "--namespace="+Namespace, "--wait", "--timeout="+Patience.String())
}

// helm runs the Helm of go.tools.mod.
func helm(ctx context.Context, args ...string) error {
	root, err := root(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "-modfile=go.tools.mod", "helm"}, args...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("helm %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// Programs have images, which make images builds and pods run.
var Programs = []string{"manager", "mdmserver", "devicesim", "apnsfake", "depfake"}

// LocalCluster runs a command of hack/cluster.
func LocalCluster(ctx context.Context, out io.Writer, args ...string) error {
	root, err := root(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "./hack/cluster"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("hack/cluster %s: %w", args[0], err)
	}
	return nil
}

// LoadImages loads the images of all Programs into the local cluster.
func LoadImages(ctx context.Context, out io.Writer) error {
	load := []string{"load"}
	for _, program := range Programs {
		archive, err := imageArchive(program)
		if err != nil {
			return err
		}
		load = append(load, archive)
	}
	return LocalCluster(ctx, out, load...)
}

// imageArchive is the file that make images writes for a program.
func imageArchive(program string) (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "kubemdm", "images", program+".tar"), err
}

func imageDigest(program string) (string, error) {
	path, err := imageArchive(program)
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w (make images builds it)", err)
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

// root is the folder of the source tree.
func root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f={{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the source tree: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
