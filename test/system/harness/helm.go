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
	"strconv"
	"strings"
)

// Namespace is where the operator runs; release is its name in Helm.
const (
	Namespace = "kubemdm-system"
	release   = "kubemdm"
)

// Chart is the folder of the chart in the source tree.
const Chart = "charts/kubemdm"

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
	return InstallChart(ctx, filepath.Join(root, Chart), "image.tag=dev,serverImage.tag=dev", "podAnnotations.image="+digest)
}

// InstallChart installs the operator from a chart, or upgrades it, with values as of helm --set, and waits until it is ready.
func InstallChart(ctx context.Context, chart string, values ...string) error {
	args := []string{"upgrade", release, chart, "--install", "--namespace=" + Namespace, "--create-namespace", "--wait", "--timeout=" + Patience.String()}
	for _, value := range values {
		args = append(args, "--set="+value)
	}
	return helm(ctx, args...)
}

// Rollback takes the operator back to a revision of its release.
func Rollback(ctx context.Context, revision int) error {
	return helm(ctx, "rollback", release, strconv.Itoa(revision), "--namespace="+Namespace, "--wait", "--timeout="+Patience.String())
}

// Uninstall removes the operator, if it is there.
func Uninstall(ctx context.Context) error {
	return helm(ctx, "uninstall", release, "--namespace="+Namespace, "--ignore-not-found", "--wait", "--timeout="+Patience.String())
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
