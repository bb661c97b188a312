package cli

import (
	"context"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

func (e *Env) logs(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	config, err := e.Flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return c.CoreV1().Pods(namespace).GetLogs(pod, options).Stream(ctx)
}

func (e *Env) serverVersion() (string, error) {
	c, err := e.Flags.ToDiscoveryClient()
	if err != nil {
		return "", err
	}
	version, err := c.ServerVersion()
	if err != nil {
		return "", err
	}
	return version.String(), nil
}
