package report

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/look"
)

// maxLog is how many bytes of one log are taken.
const maxLog = 4 << 20

// Labels of pods: those of the manager as the chart sets them, and those of servers as the manager does.
var (
	managerPods = client.MatchingLabels{"app.kubernetes.io/name": "kubemdm", "app.kubernetes.io/component": "manager"}
	serverPods  = client.MatchingLabels{"app.kubernetes.io/name": "mdmserver"}
)

// events takes what Kubernetes tells of the objects of KubeMDM.
func (c *collector) events(ctx context.Context) error {
	list := &corev1.EventList{}
	if err := look.All(ctx, c.env, c.session, list, "events", client.InNamespace(c.namespace)); err != nil {
		c.lack("events", err)
		return nil
	}
	var lines []string
	for i := range list.Items {
		e := &list.Items[i]
		if group, _ := schema.ParseGroupVersion(e.InvolvedObject.APIVersion); group.Group != mdmv1alpha1.GroupVersion.Group {
			continue
		}
		last := e.LastTimestamp.Time
		if last.IsZero() {
			last = e.EventTime.Time
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s/%s/%s\t%s\t%dx\t%s", last.UTC().Format("2006-01-02T15:04:05Z"), e.Type,
			e.Namespace, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, max(1, e.Count), c.secrecy.text(strings.Join(strings.Fields(e.Message), " "))))
	}
	slices.Sort(lines)
	c.add("events.txt", []byte(strings.Join(lines, "\n")+"\n"))
	return nil
}

// versions takes the version of the API server, the CRDs without their schemas, and the state of the live view.
func (c *collector) versions(ctx context.Context) error {
	version, err := c.env.ServerVersion()
	if err != nil {
		c.lack("version of the API server", err)
	}
	found := map[string]any{"plugin": c.version, "apiServer": version}
	crds := map[string]any{}
	for _, kind := range kinds {
		crd, err := c.clusterObject(ctx, "apiextensions.k8s.io/v1", "CustomResourceDefinition", kind.resource+"."+mdmv1alpha1.GroupVersion.Group)
		if err != nil {
			c.lack("CRD of "+kind.resource, err)
			continue
		}
		crds[kind.resource] = crdFacts(crd)
	}
	found["crds"] = crds
	service, err := c.clusterObject(ctx, "apiregistration.k8s.io/v1", "APIService", livev1alpha1.GroupVersion.Version+"."+livev1alpha1.GroupVersion.Group)
	if err != nil {
		c.lack("APIService of the live view", err)
	} else {
		conditions, _, _ := unstructured.NestedSlice(service.Object, "status", "conditions")
		where, _, _ := unstructured.NestedMap(service.Object, "spec", "service")
		found["liveView"] = map[string]any{"service": where, "conditions": conditions}
	}
	return c.addYAML("versions.yaml", c.secrecy.strings(found))
}

// clusterObject reads an object that is in no namespace.
func (c *collector) clusterObject(ctx context.Context, apiVersion, kind, name string) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	everywhere := &cli.Session{WithWatch: c.session.WithWatch}
	return object, look.Get(ctx, everywhere, name, object)
}

// crdFacts are what tells which release a CRD is of.
func crdFacts(crd *unstructured.Unstructured) map[string]any {
	stored, _, _ := unstructured.NestedSlice(crd.Object, "status", "storedVersions")
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	facts := map[string]any{"stored": stored, "conditions": conditions, "generation": crd.GetGeneration()}
	labels := map[string]any{}
	for key, value := range crd.GetLabels() {
		labels[key] = value
	}
	facts["labels"] = labels
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	served := []any{}
	for _, version := range versions {
		if one, is := version.(map[string]any); is && one["served"] == true {
			served = append(served, one["name"])
		}
	}
	facts["served"] = served
	return facts
}

// pods takes how the pods of the manager and of the servers are, and their logs.
func (c *collector) pods(ctx context.Context) error {
	for _, group := range []struct {
		what, namespace string
		labels          client.MatchingLabels
	}{
		{"pods of the manager", c.managerNamespace, managerPods},
		{"pods of servers", c.namespace, serverPods},
	} {
		list := &corev1.PodList{}
		if err := look.All(ctx, c.env, c.session, list, "pods", client.InNamespace(group.namespace), group.labels); err != nil {
			c.lack(group.what, err)
			continue
		}
		if len(list.Items) == 0 {
			c.lack(group.what, fmt.Errorf("there is none %s", look.Where(group.namespace)))
		}
		for i := range list.Items {
			if err := c.pod(ctx, &list.Items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// podFacts are how a pod is. Its environment and arguments stay behind.
type podFacts struct {
	Name       string                   `json:"name"`
	Node       string                   `json:"node,omitempty"`
	Phase      corev1.PodPhase          `json:"phase"`
	Reason     string                   `json:"reason,omitempty"`
	Message    string                   `json:"message,omitempty"`
	Labels     map[string]string        `json:"labels,omitempty"`
	Conditions []corev1.PodCondition    `json:"conditions,omitempty"`
	Containers []corev1.ContainerStatus `json:"containers,omitempty"`
}

func (c *collector) pod(ctx context.Context, pod *corev1.Pod) error {
	facts := podFacts{
		Name: pod.Name, Node: pod.Spec.NodeName, Phase: pod.Status.Phase, Reason: pod.Status.Reason, Message: c.secrecy.text(pod.Status.Message), Labels: pod.Labels,
		Conditions: pod.Status.Conditions, Containers: pod.Status.ContainerStatuses,
	}
	place := "pods/" + pod.Namespace + "/" + pod.Name
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&facts)
	if err != nil {
		return fmt.Errorf("reading the pod %s: %w", pod.Name, err)
	}
	if err := c.addYAML(place+".yaml", c.secrecy.strings(content)); err != nil || c.tail == 0 {
		return err
	}
	for _, container := range pod.Spec.Containers {
		c.log(ctx, pod, container.Name, place+"/"+container.Name+".log", false)
		if restarted(pod, container.Name) {
			c.log(ctx, pod, container.Name, place+"/"+container.Name+".previous.log", true)
		}
	}
	return nil
}

func restarted(pod *corev1.Pod, container string) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == container && s.RestartCount > 0 })
}

// log takes the end of a log.
func (c *collector) log(ctx context.Context, pod *corev1.Pod, container, name string, previous bool) {
	ctx, cancel := context.WithTimeout(ctx, look.Deadline)
	defer cancel()
	limit := int64(maxLog)
	stream, err := c.env.Logs(ctx, pod.Namespace, pod.Name, &corev1.PodLogOptions{
		Container: container, TailLines: &c.tail, LimitBytes: &limit, Timestamps: true, Previous: previous,
	})
	if err != nil {
		c.lack("log of "+pod.Namespace+"/"+pod.Name+"/"+container, err)
		return
	}
	defer stream.Close()
	content, err := io.ReadAll(io.LimitReader(stream, maxLog))
	if err != nil {
		c.lack("log of "+pod.Namespace+"/"+pod.Name+"/"+container, err)
	}
	c.add(name, []byte(c.secrecy.text(string(content))))
}
