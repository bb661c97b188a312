package main

import (
	"context"
	"encoding/json"
)

// kubectl runs it as the administrator, with input on its standard input, and returns its output.
func (c *cluster) kubectl(ctx context.Context, input string, args ...string) (string, error) {
	global := []string{"--kubeconfig=" + c.kubeconfig(), "--cache-dir=" + c.path("kubectl-cache"), "--request-timeout=30s"}
	return command(ctx, input, c.artifact("kubectl"), append(global, args...)...)
}

// get decodes what `kubectl get -o json` answers into result.
func (c *cluster) get(ctx context.Context, result any, args ...string) error {
	output, err := c.kubectl(ctx, "", append([]string{"get", "-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(output), result)
}

// apply applies manifests, as YAML or JSON.
func (c *cluster) apply(ctx context.Context, manifests string) error {
	_, err := c.kubectl(ctx, manifests, "apply", "--server-side", "--force-conflicts", "--field-manager=kubemdm-cluster", "-f", "-")
	return err
}

// ctr runs containerd's command line in the namespace of the kubelet's containers.
func (c *cluster) ctr(ctx context.Context, args ...string) (string, error) {
	return command(ctx, "", c.artifact("ctr"), append([]string{"--address", c.path("containerd.sock"), "--namespace", "k8s.io"}, args...)...)
}
