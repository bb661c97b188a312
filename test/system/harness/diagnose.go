package harness

import (
	"context"
	"fmt"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

const (
	logLines  = 25
	maxEvents = 25
)

// Diagnose prints what somebody would look at who has to find out why things do not go on: conditions, pods, warnings and logs of a fleet's
// namespace and of the operator's.
func (c *Cluster) Diagnose(ctx context.Context, out io.Writer, namespace string) {
	fmt.Fprintf(out, "\n===== diagnosis of %s and %s =====\n", namespace, Namespace)
	for _, step := range []func(context.Context, io.Writer, string) error{c.printConditions, c.printPods, c.printWarnings} {
		if err := step(ctx, out, namespace); err != nil {
			fmt.Fprintln(out, err)
		}
	}
	if err := c.printPods(ctx, out, Namespace); err != nil {
		fmt.Fprintln(out, err)
	}
	if err := c.printWarnings(ctx, out, Namespace); err != nil {
		fmt.Fprintln(out, err)
	}
}

// printConditions prints each condition of our objects that is not True.
func (c *Cluster) printConditions(ctx context.Context, out io.Writer, namespace string) error {
	for _, list := range []client.ObjectList{
		&mdmv1alpha1.MDMServerList{}, &mdmv1alpha1.APNSCertificateList{}, &mdmv1alpha1.EnrollmentTokenList{},
		&mdmv1alpha1.DeviceList{}, &mdmv1alpha1.ProfileList{}, &mdmv1alpha1.DeviceCommandList{},
	} {
		if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return err
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			return err
		}
		for _, item := range items {
			obj := item.(mdmv1alpha1.Object)
			for _, condition := range obj.GetCommonStatus().Conditions {
				if condition.Status != metav1.ConditionTrue {
					fmt.Fprintf(out, "%T %s\n", obj, describe(obj, condition.Type))
				}
			}
		}
	}
	return nil
}

// printPods prints how each pod is and the end of its log.
func (c *Cluster) printPods(ctx context.Context, out io.Writer, namespace string) error {
	pods := &corev1.PodList{}
	if err := c.List(ctx, pods, client.InNamespace(namespace)); err != nil {
		return err
	}
	for _, pod := range pods.Items {
		fmt.Fprintf(out, "pod %s/%s is %s\n", namespace, pod.Name, pod.Status.Phase)
		for _, status := range pod.Status.ContainerStatuses {
			if waiting := status.State.Waiting; waiting != nil {
				fmt.Fprintf(out, "  container %s waits: %s %s\n", status.Name, waiting.Reason, waiting.Message)
			}
			if status.RestartCount > 0 {
				fmt.Fprintf(out, "  container %s was restarted %d times\n", status.Name, status.RestartCount)
			}
		}
		if logs, err := c.Logs(ctx, namespace, pod.Name, logLines); err == nil {
			fmt.Fprintln(out, logs)
		}
	}
	return nil
}

// printWarnings prints the newest events that tell of trouble.
func (c *Cluster) printWarnings(ctx context.Context, out io.Writer, namespace string) error {
	events := &corev1.EventList{}
	if err := c.List(ctx, events, client.InNamespace(namespace)); err != nil {
		return err
	}
	warnings := slices.DeleteFunc(events.Items, func(e corev1.Event) bool { return e.Type != corev1.EventTypeWarning })
	slices.SortFunc(warnings, func(a, b corev1.Event) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	for _, e := range warnings[max(0, len(warnings)-maxEvents):] {
		fmt.Fprintf(out, "event %s %s/%s: %s %s\n", namespace, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
	}
	return nil
}
