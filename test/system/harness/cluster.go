package harness

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

//go:embed manifests
var manifests embed.FS

// Cluster is a connection to a cluster as its administrator.
type Cluster struct {
	client.Client
	Config *rest.Config
	// Typed has what Client lacks: the logs of pods and printed tables.
	Typed kubernetes.Interface
	// Progress hears of waits that last, if it is set.
	Progress func(string)
	// Patience is how long each wait may last, if it is not the usual.
	Patience time.Duration
}

// Connect connects to the cluster that KUBECONFIG names.
func Connect() (*Cluster, error) {
	cfg, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("reading KUBECONFIG: %w", err)
	}
	cfg.QPS, cfg.Burst = 50, 100
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), mdmv1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	typed, err := kubernetes.NewForConfig(cfg)
	return &Cluster{Client: c, Config: cfg, Typed: typed}, err
}

// ApplyFile applies a file of manifests in a namespace, server-side. Each ${NAME} in it stands for a value.
func (c *Cluster) ApplyFile(ctx context.Context, namespace, file string, values map[string]string) error {
	b, err := manifests.ReadFile("manifests/" + file)
	if err != nil {
		return err
	}
	pairs := []string{"${NAMESPACE}", namespace}
	for name, value := range values {
		pairs = append(pairs, "${"+name+"}", value)
	}
	text := strings.NewReplacer(pairs...).Replace(string(b))
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), len(text))
	for {
		obj := &unstructured.Unstructured{}
		if err := decoder.Decode(&obj.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		obj.SetNamespace(namespace)
		err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("demo"), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
}

// CreateNamespace makes a namespace in which only pods of the security standard "restricted" may run.
func (c *Cluster) CreateNamespace(ctx context.Context, name string) error {
	return c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}})
}

// DeleteNamespace deletes a namespace, if it is there, and waits until it is gone.
func (c *Cluster) DeleteNamespace(ctx context.Context, name string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := c.Delete(ctx, ns); err != nil {
		return client.IgnoreNotFound(err)
	}
	return c.Wait(ctx, "namespace "+name+" to be gone", func(ctx context.Context) (bool, string, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(ns), ns)
		if apierrors.IsNotFound(err) {
			return true, "", nil
		}
		detail := ""
		for _, condition := range ns.Status.Conditions {
			if condition.Status == corev1.ConditionTrue {
				detail += condition.Message + " "
			}
		}
		return false, detail, err
	})
}

// Logs returns the newest lines that a pod has printed.
func (c *Cluster) Logs(ctx context.Context, namespace, pod string, lines int64) (string, error) {
	b, err := c.Typed.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{TailLines: &lines}).DoRaw(ctx)
	return string(b), err
}
