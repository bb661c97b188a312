package upgrade

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

const (
	namespace = "kubemdm-upgrade"
	count     = 10
	// restartLimit is how long a server with one replica may be away when its pod is replaced, on two slow cores.
	restartLimit = time.Minute
)

// TestUpgrade counts every connection of every Mac. Two things are upgraded, the operator and the servers, and what counts differs:
//
// The operator is not on the way of a device. While it is upgraded, rolled back, removed and installed again, not one connection may fail. A person has
// this who holds serverImage.
//
// A server with SQLite is one pod, which is replaced by another of the new image when serverImage changes. Connections fail in between, as they do to a
// real device, which connects again. So each Mac tries again until it gets through, and what counts is that all of them do, within restartLimit, that the
// pod is replaced once, and that nobody has to enrol again.
func TestUpgrade(t *testing.T) {
	u := &upgrade{Walk: harness.Start(t, namespace), dir: t.TempDir(), log: t.Logf}
	t.Cleanup(func() { // a namespace without an operator keeps its finalizers
		if err := harness.Install(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	harness.Take(t, harness.Step{Title: "the release before is built and installed", Do: u.installPrevious})
	harness.Take(t, u.ToServer()[1:]...)
	harness.Take(t,
		harness.Step{Title: fmt.Sprintf("%d Macs are enrolled and obey", count), Do: u.enrol},
		harness.Step{Title: "the operator is upgraded, and not one connection fails", Do: u.upgradeOperator},
		harness.Step{Title: "it serves the live view", Do: u.live},
		harness.Step{Title: "the Macs obey the new operator on the server of before", Do: u.obey("upgraded-operator")},
		harness.Step{Title: "the server is upgraded, and every Mac comes back", Do: u.upgradeServer},
		harness.Step{Title: "the Macs obey on the new server", Do: u.obey("upgraded-server")},
		harness.Step{Title: "operator and server are rolled back, and every Mac comes back", Do: u.rollBack},
		harness.Step{Title: "the Macs obey after the rollback", Do: u.obey("rolled-back")},
		harness.Step{Title: "the upgrade is done again, in one go", Do: u.upgradeAll},
		harness.Step{Title: "the Macs obey after the second upgrade", Do: u.obey("upgraded-again")},
		harness.Step{Title: "the operator is removed, not one connection fails, and kinds and Devices stay", Do: u.uninstall},
		harness.Step{Title: "it is installed again, and not one connection fails", Do: u.reinstall},
		harness.Step{Title: "the Macs obey the operator that came back", Do: u.obey("reinstalled")},
	)
}

// upgrade is what one step hands to the next.
type upgrade struct {
	*harness.Walk
	dir      string
	log      func(string, ...any)
	previous *release
	macs     *harness.Macs
	// enrolments are the Devices' when they had just enrolled: a Mac that enrols again gets another.
	enrolments map[string]string
}

// installPrevious starts with an empty history: revision 1 is the release before.
func (u *upgrade) installPrevious(ctx context.Context) (err error) {
	if u.previous, err = prepare(ctx, u.dir); err != nil {
		return err
	}
	if err := harness.Uninstall(ctx); err != nil {
		return err
	}
	if err := harness.InstallChart(ctx, u.previous.chart(), "image.tag="+previousTag+",serverImage.tag="+previousTag); err != nil {
		return err
	}
	return errors.Join(u.DeleteNamespace(ctx, namespace), u.CreateNamespace(ctx, namespace))
}

// upgradeChart upgrades to the tree's chart, with the image of this tag for servers.
func (u *upgrade) upgradeChart(ctx context.Context, serverTag string) error {
	root, err := output(ctx, "", "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	return harness.InstallChart(ctx, filepath.Join(root, harness.Chart), "image.tag=dev,serverImage.tag="+serverTag)
}

func (u *upgrade) enrol(ctx context.Context) (err error) {
	if u.macs, err = u.EnrolMacs(ctx, "upgrade", count); err != nil {
		return err
	}
	err = u.Wait(ctx, "their Devices", func(ctx context.Context) (bool, string, error) {
		u.enrolments, err = u.enrolled(ctx)
		return len(u.enrolments) == count, fmt.Sprintf("%d Devices", len(u.enrolments)), err
	})
	if err != nil {
		return err
	}
	return u.obey("enrolled")(ctx)
}

// enrolled returns the enrolment of each Device that is enrolled.
func (u *upgrade) enrolled(ctx context.Context) (map[string]string, error) {
	devices := &mdmv1alpha1.DeviceList{}
	if err := u.List(ctx, devices, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, d := range devices.Items {
		if meta.IsStatusConditionTrue(d.Status.Conditions, mdmv1alpha1.DeviceEnrolled) && d.Status.Enrollment != nil {
			found[d.Name] = d.Status.Enrollment.ID
		}
	}
	return found, nil
}

// obey is a step: every Mac does what a new DeviceCommand asks, as the Device it was when it enrolled.
func (u *upgrade) obey(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		command := &mdmv1alpha1.DeviceCommand{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: mdmv1alpha1.DeviceCommandSpec{
				ServerRef: mdmv1alpha1.LocalReference{Name: harness.ServerName},
				Target:    mdmv1alpha1.CommandTarget{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "upgrade"}}},
				Action:    mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionDeviceInformation},
			},
		}
		if err := u.Create(ctx, command); err != nil {
			return err
		}
		succeeded := u.Satisfied(command, mdmv1alpha1.DeviceCommandSucceeded)
		err := u.Wait(ctx, name+" to succeed", func(ctx context.Context) (bool, string, error) {
			if err := u.macs.Connect(ctx); err != nil {
				return false, "", err
			}
			return succeeded(ctx)
		})
		if err != nil {
			return err
		}
		if counts := command.Status.Counts; counts.Succeeded != count {
			return fmt.Errorf("%s ended as %+v, not on %d Macs", name, *counts, count)
		}
		now, err := u.enrolled(ctx)
		if err == nil && !maps.Equal(now, u.enrolments) {
			err = fmt.Errorf("the enrolments were %v, and are %v", u.enrolments, now)
		}
		return err
	}
}

// unnoticed does something while the Macs connect, of whom none may notice it, and leaves the server's pod in its place.
func (u *upgrade) unnoticed(ctx context.Context, do func(context.Context) error) error {
	before, err := u.serverPod(ctx)
	if err != nil {
		return err
	}
	seen, err := during(ctx, u.macs.Devices, do)
	u.log("%s", seen)
	if err != nil {
		return err
	}
	if seen.failures > 0 || seen.connections < count {
		return fmt.Errorf("%s; the first failure: %w", seen, seen.first)
	}
	after, err := u.serverPod(ctx)
	if err == nil && after.UID != before.UID {
		err = errors.New("the server's pod is another one")
	}
	return err
}

// replaced does something that replaces the server's pod by one of this image, and waits for it. Every Mac has to come back.
func (u *upgrade) replaced(ctx context.Context, tag string, do func(context.Context) error) error {
	seen, err := during(ctx, u.macs.Devices, func(ctx context.Context) error {
		if err := do(ctx); err != nil {
			return err
		}
		return u.Wait(ctx, "the server's new pod", func(ctx context.Context) (bool, string, error) {
			pod, err := u.serverPod(ctx)
			if err != nil {
				return false, "", err
			}
			image := pod.Spec.Containers[0].Image
			ready := len(pod.Status.ContainerStatuses) == 1 && pod.Status.ContainerStatuses[0].Ready && pod.DeletionTimestamp == nil
			return ready && strings.HasSuffix(image, ":"+tag), fmt.Sprintf("%s of %s, ready: %v", pod.Name, image, ready), nil
		})
	})
	u.log("%s", seen)
	if err == nil && seen.outage > restartLimit {
		err = fmt.Errorf("%s; the first failure: %w", seen, seen.first)
	}
	if err != nil {
		return err
	}
	server := &mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: harness.ServerName}}
	return u.Wait(ctx, "the server", u.Satisfied(server, mdmv1alpha1.ConditionReady))
}

func (u *upgrade) upgradeOperator(ctx context.Context) error {
	return u.unnoticed(ctx, func(ctx context.Context) error {
		if err := u.upgradeChart(ctx, previousTag); err != nil {
			return err
		}
		return u.reconciled(ctx)
	})
}

// reconciled waits until the operator that runs now has looked at the server: what it would change, it has changed.
func (u *upgrade) reconciled(ctx context.Context) error {
	server := &mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: harness.ServerName}}
	now := time.Now().Format(time.RFC3339Nano)
	patch := fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, mdmv1alpha1.AnnotationRequestedAt, now)
	if err := u.Patch(ctx, server, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return err
	}
	return u.Wait(ctx, "the operator to look at the server", func(ctx context.Context) (bool, string, error) {
		err := u.Get(ctx, client.ObjectKeyFromObject(server), server)
		return err == nil && server.Status.LastHandledRequest == now, server.Status.LastHandledRequest, err
	})
}

// live waits until the API server passes requests on to the operator.
func (u *upgrade) live(ctx context.Context) error {
	service := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}}
	return u.Wait(ctx, "the live view", func(ctx context.Context) (bool, string, error) {
		if err := u.Get(ctx, client.ObjectKey{Name: "v1alpha1.live.mdm.kubemdm.io"}, service); err != nil {
			return false, "", err
		}
		conditions, _, err := unstructured.NestedSlice(service.Object, "status", "conditions")
		for _, c := range conditions {
			condition := c.(map[string]any)
			if condition["type"] == "Available" && condition["status"] == "True" {
				return true, "", err
			}
		}
		return false, fmt.Sprint(conditions), err
	})
}

func (u *upgrade) upgradeServer(ctx context.Context) error {
	return u.replaced(ctx, "dev", func(ctx context.Context) error { return u.upgradeChart(ctx, "dev") })
}

func (u *upgrade) rollBack(ctx context.Context) error {
	return u.replaced(ctx, previousTag, func(ctx context.Context) error { return harness.Rollback(ctx, 1) })
}

func (u *upgrade) upgradeAll(ctx context.Context) error {
	return u.replaced(ctx, "dev", harness.Install)
}

// uninstall removes the operator. Kinds, Devices and the server stay.
func (u *upgrade) uninstall(ctx context.Context) error {
	before, err := u.enrolled(ctx)
	if err != nil {
		return err
	}
	err = u.unnoticed(ctx, func(ctx context.Context) error {
		if err := harness.Uninstall(ctx); err != nil {
			return err
		}
		return u.Wait(ctx, "the manager to be gone", func(ctx context.Context) (bool, string, error) {
			pods := &corev1.PodList{}
			err := u.List(ctx, pods, client.InNamespace(harness.Namespace))
			return len(pods.Items) == 0, fmt.Sprintf("%d pods", len(pods.Items)), err
		})
	})
	if err != nil {
		return err
	}
	after, err := u.enrolled(ctx)
	if err == nil && (!maps.Equal(before, after) || len(after) != count) {
		err = fmt.Errorf("the Devices were %v, and are %v", before, after)
	}
	return err
}

func (u *upgrade) reinstall(ctx context.Context) error {
	return u.unnoticed(ctx, func(ctx context.Context) error {
		if err := harness.Install(ctx); err != nil {
			return err
		}
		return u.reconciled(ctx)
	})
}

func (u *upgrade) serverPod(ctx context.Context) (*corev1.Pod, error) {
	return u.Pod(ctx, namespace, client.MatchingLabels{mdmv1alpha1.LabelServer: harness.ServerName})
}
