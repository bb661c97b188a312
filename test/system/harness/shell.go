package harness

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// Shell is where a person types commands of the documentation: in a folder with the charts of the source tree, with kubectl, its plugin and helm.
type Shell struct{ dir, path string }

// NewShell prepares a folder.
func NewShell(ctx context.Context, dir string) (*Shell, error) {
	tree, err := root(ctx)
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return nil, err
	}
	if _, err := Build(ctx, bin, "./cmd/kubectl-mdm"); err != nil {
		return nil, err
	}
	assets := &bytes.Buffer{}
	if err := LocalCluster(ctx, assets, "assets"); err != nil {
		return nil, err
	}
	lines := strings.Fields(assets.String())
	for target, link := range map[string]string{
		filepath.Join(lines[len(lines)-1], "kubectl"): filepath.Join(bin, "kubectl"),
		filepath.Join(tree, "charts"):                 filepath.Join(dir, "charts"),
	} {
		if err := os.Symlink(target, link); err != nil {
			return nil, err
		}
	}
	helm := "#!/bin/sh\nexec go tool -modfile=" + filepath.Join(tree, "go.tools.mod") + ` helm "$@"` + "\n"
	// helm runs as a tool of the source tree, and its argument names a chart below the folder: go needs its go.mod.
	if err := os.Symlink(filepath.Join(tree, "go.mod"), filepath.Join(dir, "go.mod")); err != nil {
		return nil, err
	}
	return &Shell{dir: dir, path: bin}, os.WriteFile(filepath.Join(bin, "helm"), []byte(helm), 0o700) //nolint:gosec // it is a program
}

// Run runs a command as bash does, and returns what it prints.
func (s *Shell) Run(ctx context.Context, command string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PATH="+s.path+":"+os.Getenv("PATH"))
	var out, diagnosis bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnosis
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("$ %s\n%w\n%s%s", command, err, &out, &diagnosis)
	}
	return out.String(), nil
}

// LoadRelease loads the images that the chart names by itself, made of what make images has built.
func LoadRelease(ctx context.Context, dir string) error {
	tree, err := root(ctx)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(tree, Chart, "Chart.yaml"))
	if err != nil {
		return err
	}
	var about struct {
		AppVersion string `json:"appVersion"`
	}
	if err := yaml.Unmarshal(b, &about); err != nil {
		return err
	}
	load := []string{"load"}
	for _, program := range []string{"manager", "mdmserver"} {
		built, err := imageArchive(program)
		if err != nil {
			return err
		}
		archive := filepath.Join(dir, program+".tar")
		cmd := exec.CommandContext(ctx, "go", "run", "./hack/image", "--name=docker.io/kubemdm/"+program+":"+about.AppVersion,
			"--binary="+filepath.Join(filepath.Dir(built), "bin", program), "--user=65532:65532", "--entrypoint=/"+program,
			"--ca-certificates=/etc/ssl/certs/ca-certificates.crt", "--out="+archive)
		cmd.Dir = tree
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("making the image of %s: %w\n%s", program, err, out)
		}
		load = append(load, archive)
	}
	return LocalCluster(ctx, &bytes.Buffer{}, load...)
}
