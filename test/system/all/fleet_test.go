package all

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// fleet is a server with Macs that are simulated in this process.
type fleet struct {
	*harness.Walk
	macs *harness.Macs
}

// enrol is a step: count Macs of one team are enrolled and have a Device each.
func (f *fleet) enrol(team string, count int) harness.Step {
	return harness.Step{Title: fmt.Sprintf("%d Macs are enrolled", count), Do: func(ctx context.Context) (err error) {
		if f.macs, err = f.EnrolMacs(ctx, team, count); err != nil {
			return err
		}
		return f.Wait(ctx, "their Devices", f.allEnrolled)
	}}
}

// allEnrolled is a harness.Check.
func (f *fleet) allEnrolled(ctx context.Context) (bool, string, error) {
	devices := &mdmv1alpha1.DeviceList{}
	if err := f.List(ctx, devices, client.InNamespace(f.Namespace)); err != nil {
		return false, "", err
	}
	for i := range devices.Items {
		if done, missing, err := f.Satisfied(&devices.Items[i], mdmv1alpha1.ConditionReady, mdmv1alpha1.DeviceEnrolled)(ctx); !done {
			return false, missing, err
		}
	}
	return len(devices.Items) == len(f.macs.Devices), fmt.Sprintf("%d Devices", len(devices.Items)), nil
}

// ask creates a DeviceCommand that asks every Mac of a team what it is.
func (f *fleet) ask(ctx context.Context, name, team string) error {
	return f.Create(ctx, &mdmv1alpha1.DeviceCommand{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.Namespace, Name: name},
		Spec: mdmv1alpha1.DeviceCommandSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: harness.ServerName},
			Target:    mdmv1alpha1.CommandTarget{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}},
			Action:    mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionDeviceInformation},
		},
	})
}

// answered lets the Macs connect until every one of them has done what the DeviceCommand asks, once.
func (f *fleet) answered(ctx context.Context, name string) error {
	command := &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Namespace: f.Namespace, Name: name}}
	succeeded := f.Satisfied(command, mdmv1alpha1.DeviceCommandSucceeded)
	err := f.Wait(ctx, name+" to succeed", func(ctx context.Context) (bool, string, error) {
		if err := f.macs.Connect(ctx); err != nil {
			return false, "", err
		}
		return succeeded(ctx)
	})
	if err != nil {
		return err
	}
	want := int32(len(f.macs.Devices))
	if s := command.Status; *s.Total != want || *s.Counts != (mdmv1alpha1.CommandCounts{Succeeded: want}) {
		return fmt.Errorf("%s has %d targets and ended as %+v, want %d of %[4]d succeeded", name, *s.Total, *s.Counts, want)
	}
	return nil
}

// serverPod and managerPod find the pods that tests kill.
func (f *fleet) serverPod(ctx context.Context) (*corev1.Pod, error) {
	return f.Pod(ctx, f.Namespace, client.MatchingLabels{mdmv1alpha1.LabelServer: harness.ServerName})
}

func (f *fleet) managerPod(ctx context.Context) (*corev1.Pod, error) {
	return f.Pod(ctx, harness.Namespace, client.MatchingLabels{"app.kubernetes.io/component": "manager"})
}
