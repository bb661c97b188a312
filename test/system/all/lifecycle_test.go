package all

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

const few = 3

// TestLifeCycle restarts, upgrades, removes and reinstalls the parts. Devices notice nothing of it.
func TestLifeCycle(t *testing.T) {
	f := &fleet{Walk: harness.Start(t, "kubemdm-life")}
	t.Cleanup(func() { // a namespace without an operator keeps its finalizers
		if err := harness.Install(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	harness.Take(t, f.ToServer()...)
	harness.Take(t,
		f.enrol("life", few),
		f.work("before"),
		harness.Step{Title: "the server's pod is replaced", Do: func(ctx context.Context) error { return f.replace(ctx, f.serverPod) }},
		f.work("after-server"),
		harness.Step{Title: "the manager's pod is replaced, which writes nothing to the Devices", Do: f.replaceManager},
		f.work("after-manager"),
		harness.Step{Title: "the operator is removed with Helm, and all else stays", Do: f.uninstall},
		harness.Step{Title: "the operator is installed again", Do: harness.Install},
		f.work("after-install"),
		harness.Step{Title: "an upgrade changes nothing for devices", Do: harness.Install},
		f.work("after-upgrade"),
	)
}

// work is a step: the Macs are served and obey.
func (f *fleet) work(name string) harness.Step {
	return harness.Step{Title: "the Macs obey: " + name, Do: func(ctx context.Context) error {
		return errors.Join(f.ask(ctx, name, "life"), f.answered(ctx, name), f.Wait(ctx, "the Devices", f.allEnrolled))
	}}
}

// replace deletes a pod and waits until another one is ready.
func (f *fleet) replace(ctx context.Context, find func(context.Context) (*corev1.Pod, error)) error {
	old, err := find(ctx)
	if err != nil {
		return err
	}
	if err := f.Delete(ctx, old); err != nil {
		return err
	}
	return f.Wait(ctx, "another pod than "+old.Name, func(ctx context.Context) (bool, string, error) {
		pod, err := find(ctx)
		if err != nil {
			return false, "", err
		}
		ready := len(pod.Status.ContainerStatuses) == 1 && pod.Status.ContainerStatuses[0].Ready
		return pod.UID != old.UID && ready, fmt.Sprintf("%s is %s", pod.Name, pod.Status.Phase), nil
	})
}

func (f *fleet) replaceManager(ctx context.Context) error {
	before, err := f.versions(ctx)
	if err != nil {
		return err
	}
	if err := f.replace(ctx, f.managerPod); err != nil {
		return err
	}
	// A token that the new manager publishes shows that it leads and has seen everything.
	if _, err := f.EnrolMacs(ctx, "after", 0); err != nil {
		return err
	}
	after, err := f.versions(ctx)
	if err == nil && after != before {
		err = fmt.Errorf("the Devices were at %s, and are at %s", before, after)
	}
	return err
}

// versions are the resource versions of all Devices.
func (f *fleet) versions(ctx context.Context) (string, error) {
	devices := &mdmv1alpha1.DeviceList{}
	err := f.List(ctx, devices, client.InNamespace(f.Namespace))
	versions := ""
	for _, d := range devices.Items {
		versions += d.Name + "@" + d.ResourceVersion + " "
	}
	return versions, err
}

// uninstall removes the operator. Kinds, objects and the server stay, and the server goes on serving.
func (f *fleet) uninstall(ctx context.Context) error {
	before, err := f.versions(ctx)
	if err != nil {
		return err
	}
	if err := harness.Uninstall(ctx); err != nil {
		return err
	}
	err = f.Wait(ctx, "the manager to be gone", func(ctx context.Context) (bool, string, error) {
		pods := &corev1.PodList{}
		err := f.List(ctx, pods, client.InNamespace(harness.Namespace))
		return len(pods.Items) == 0, fmt.Sprintf("%d pods", len(pods.Items)), err
	})
	if err != nil {
		return err
	}
	after, err := f.versions(ctx)
	if err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("the Devices were at %s, and are at %s", before, after)
	}
	server := &mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Namespace: f.Namespace, Name: harness.ServerName}}
	return errors.Join(f.Get(ctx, client.ObjectKeyFromObject(server), server), f.macs.Connect(ctx))
}
