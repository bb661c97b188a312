package harness

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Tool is a command-line program of the tree.
type Tool struct{ path, dir string }

// Build builds a program, such as ./cmd/kubectl-mdm, into a folder, in which it then runs.
func Build(ctx context.Context, dir, program string) (*Tool, error) {
	root, err := root(ctx)
	if err != nil {
		return nil, err
	}
	tool := &Tool{path: filepath.Join(dir, filepath.Base(program)), dir: dir}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", tool.path, program)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %w\n%s", program, err, out)
	}
	return tool, nil
}

// Run runs the program and returns what it prints on its standard output.
func (t *Tool) Run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, t.path, args...)
	cmd.Dir = t.dir
	var out, diagnosis bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnosis
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(t.path), strings.Join(args, " "), err, &out, &diagnosis)
	}
	return out.String(), nil
}

// metricsPort is the one of the manager and of the server.
const metricsPort = "8080"

// Metrics returns the metrics of a pod of ours in Prometheus' text format.
func (c *Cluster) Metrics(ctx context.Context, namespace, pod string) (string, error) {
	b, err := c.Typed.CoreV1().Pods(namespace).ProxyGet("http", pod, metricsPort, "metrics", nil).DoRaw(ctx)
	return string(b), err
}
