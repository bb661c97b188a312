package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Pod returns the one pod of a namespace with these labels.
func (c *Cluster) Pod(ctx context.Context, namespace string, labels client.MatchingLabels) (*corev1.Pod, error) {
	pods := &corev1.PodList{}
	if err := c.List(ctx, pods, client.InNamespace(namespace), labels); err != nil {
		return nil, err
	}
	if len(pods.Items) != 1 {
		return nil, fmt.Errorf("%d pods have the labels %v, not 1", len(pods.Items), labels)
	}
	return &pods.Items[0], nil
}

// Kill kills the process of a pod that runs a program, without a warning, and waits until kubelet has started it again. It works on the cluster's node only.
func (c *Cluster) Kill(ctx context.Context, pod *corev1.Pod, program string) error {
	pid, err := Process(pod, program)
	if err != nil {
		return err
	}
	before := pod.Status.ContainerStatuses[0].RestartCount
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	return c.Wait(ctx, program+" to be restarted", func(ctx context.Context) (bool, string, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return false, "", err
		}
		status := pod.Status.ContainerStatuses[0]
		return status.RestartCount > before && status.Ready, fmt.Sprintf("%d restarts, ready: %t", status.RestartCount, status.Ready), nil
	})
}

// Process returns the id of the process of a pod that runs a program. It works on the cluster's node only.
func Process(pod *corev1.Pod, program string) (int, error) {
	executables, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return 0, err
	}
	for _, executable := range executables {
		folder := filepath.Dir(executable)
		target, err := os.Readlink(executable)
		if err != nil || target != "/"+program { // processes come and go
			continue
		}
		groups, err := os.ReadFile(filepath.Join(folder, "cgroup"))
		if err == nil && strings.Contains(string(groups), string(pod.UID)) {
			return strconv.Atoi(filepath.Base(folder))
		}
	}
	return 0, fmt.Errorf("no process of the pod %s runs %s", pod.Name, program)
}
