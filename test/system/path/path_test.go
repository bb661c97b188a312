// Package path asserts the main path with real pods on a real cluster.
package path

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

const namespace = "kubemdm-path"

func TestMainPath(t *testing.T) {
	f := &fleet{Walk: harness.Start(t, namespace)}
	harness.Take(t, f.Steps()...)
	harness.Take(t,
		harness.Step{Title: "the server's pod holds no Kubernetes credentials", Do: f.holdsNoCredentials},
		harness.Step{Title: "the webhook refuses what CEL cannot see", Do: f.refuse},
		harness.Step{Title: "status tells who refused a profile and who put it off", Do: f.refuseAndPutOff},
		harness.Step{Title: "a refusal is final, NotNow is not", Do: f.askAgain},
		harness.Step{Title: "another content is offered to everybody", Do: f.correct},
		harness.Step{Title: "neither logs nor metrics nor events name a device or a token", Do: f.keepSecrets},
		harness.Step{Title: "a workload that somebody deleted comes back with its data", Do: f.repair},
		harness.Step{Title: "a profile that is deleted leaves the Macs", Do: f.withdraw},
	)
}

// fleet is what one step hands to the next.
type fleet struct {
	*harness.Walk
	macs    *harness.Macs
	profile *mdmv1alpha1.Profile
}

func (f *fleet) holdsNoCredentials(ctx context.Context) error {
	pod, err := f.serverPod(ctx)
	if err != nil {
		return err
	}
	for _, volume := range pod.Spec.Volumes {
		if p := volume.Projected; p != nil && slices.ContainsFunc(p.Sources, func(s corev1.VolumeProjection) bool { return s.ServiceAccountToken != nil }) {
			return fmt.Errorf("the volume %s holds a token", volume.Name)
		}
	}
	pid, err := harness.Process(pod, "mdmserver")
	if err != nil {
		return err
	}
	secrets := fmt.Sprintf("/proc/%d/root/var/run/secrets", pid)
	if _, err := os.Stat(secrets); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(errors.New("the container has a folder /var/run/secrets"), err)
	}
	return nil
}

func (f *fleet) serverPod(ctx context.Context) (*corev1.Pod, error) {
	return f.Pod(ctx, namespace, client.MatchingLabels{mdmv1alpha1.LabelServer: harness.ServerName})
}

// Of two Macs the first refuses a profile and the second puts it off.
func (f *fleet) refuseAndPutOff(ctx context.Context) error {
	var err error
	if f.macs, err = f.EnrolMacs(ctx, "lab", 2); err != nil {
		return err
	}
	f.macs.Devices[0].Script(devicesim.Rule{RequestType: "InstallProfile", Do: devicesim.AnswerError, Times: 1})
	f.macs.Devices[1].Script(devicesim.Rule{RequestType: "InstallProfile", Do: devicesim.AnswerNotNow})
	f.profile = &mdmv1alpha1.Profile{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "lab"},
		Spec: mdmv1alpha1.ProfileSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: harness.ServerName},
			Selector:  &metav1.LabelSelector{MatchLabels: map[string]string{"team": "lab"}},
			Apple: &mdmv1alpha1.AppleProfile{Type: mdmv1alpha1.ApplePayloads, Payloads: &mdmv1alpha1.PayloadList{
				Items: []mdmv1alpha1.Payload{{
					Type: "com.apple.screensaver", Settings: runtime.RawExtension{Raw: []byte(`{"idleTime": 600}`)},
				}},
			}},
		},
	}
	if err := f.Create(ctx, f.profile); err != nil {
		return err
	}
	err = f.counted(ctx, "one refusal, one NotNow", func(s mdmv1alpha1.ProfileStatus) bool {
		return *s.Targeted == 2 && *s.Failed == 1 && *s.NotNow == 1 && len(s.Failing) == 1 && s.Failing[0].Message != ""
	})
	if err != nil {
		return err
	}
	device := &mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: f.profile.Status.Failing[0].Device}}
	return f.Wait(ctx, "the Device to tell its refusal", func(ctx context.Context) (bool, string, error) {
		err := f.Get(ctx, client.ObjectKeyFromObject(device), device)
		failing := device.Status.Failing
		refuser := f.macs.Devices[0].Hardware().SerialNumber
		return len(failing) == 1 && failing[0].Profile == "lab" && device.Status.Hardware.SerialNumber == refuser, fmt.Sprint(failing), err
	})
}

// counted lets the Macs connect until the Profile's counters say what they should.
func (f *fleet) counted(ctx context.Context, what string, want func(mdmv1alpha1.ProfileStatus) bool) error {
	return f.Wait(ctx, what, func(ctx context.Context) (bool, string, error) {
		if err := f.macs.Connect(ctx); err != nil {
			return false, "", err
		}
		err := f.Get(ctx, client.ObjectKeyFromObject(f.profile), f.profile)
		s := f.profile.Status
		return err == nil && s.Targeted != nil && want(s), fmt.Sprintf("%+v", s), err
	})
}

func (f *fleet) askAgain(ctx context.Context) error {
	f.macs.Devices[1].ClearScript()
	err := f.counted(ctx, "the second Mac to take the profile", func(s mdmv1alpha1.ProfileStatus) bool {
		return *s.Installed == 1 && *s.Failed == 1 && *s.NotNow == 0
	})
	if err != nil {
		return err
	}
	if asked := installs(f.macs.Devices[0]); !slices.Equal(asked, []string{"Error"}) {
		return fmt.Errorf("the Mac that refused was asked again: %v", asked)
	}
	if asked := slices.Compact(installs(f.macs.Devices[1])); !slices.Equal(asked, []string{"NotNow", "Acknowledged"}) {
		return fmt.Errorf("the Mac that put it off has answered %v", asked)
	}
	return nil
}

// installs are a Mac's answers to InstallProfile.
func installs(mac *devicesim.Device) []string {
	var statuses []string
	for _, answer := range mac.Answers() {
		if answer.RequestType == "InstallProfile" {
			statuses = append(statuses, answer.Status)
		}
	}
	return statuses
}

func (f *fleet) correct(ctx context.Context) error {
	patch := client.RawPatch(types.JSONPatchType,
		[]byte(`[{"op": "replace", "path": "/spec/apple/payloads/items/0/settings", "value": {"idleTime": 300}}]`))
	before := f.profile.Status.Digest
	if err := f.Patch(ctx, f.profile, patch); err != nil {
		return err
	}
	return f.counted(ctx, "both Macs to take the corrected profile", func(s mdmv1alpha1.ProfileStatus) bool {
		return s.Digest != before && *s.Installed == 2 && *s.Failed == 0
	})
}

func (f *fleet) repair(ctx context.Context) error {
	name := metav1.ObjectMeta{Namespace: namespace, Name: harness.ServerName}
	set, service, config := &appsv1.StatefulSet{ObjectMeta: name}, &corev1.Service{ObjectMeta: name}, &corev1.ConfigMap{ObjectMeta: name}
	config.Name += "-config"
	for _, obj := range []client.Object{set, service, config} {
		if err := f.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		old := obj.GetUID()
		if err := f.Delete(ctx, obj); err != nil {
			return err
		}
		err := f.Wait(ctx, fmt.Sprintf("another %T", obj), func(ctx context.Context) (bool, string, error) {
			err := f.Get(ctx, client.ObjectKeyFromObject(obj), obj)
			return err == nil && obj.GetUID() != old, "", err
		})
		if err != nil {
			return err
		}
	}
	err := f.Wait(ctx, "the Macs to be served again", func(ctx context.Context) (bool, string, error) {
		return true, "", f.macs.Connect(ctx)
	})
	if err != nil {
		return err
	}
	server := &mdmv1alpha1.MDMServer{ObjectMeta: name}
	return f.Wait(ctx, "the server", f.Satisfied(server, mdmv1alpha1.ConditionReady))
}

func (f *fleet) withdraw(ctx context.Context) error {
	if err := f.Delete(ctx, f.profile); err != nil {
		return err
	}
	return f.Wait(ctx, "the profile to leave both Macs", func(ctx context.Context) (bool, string, error) {
		if err := f.macs.Connect(ctx); err != nil {
			return false, "", err
		}
		left := f.macs.Counts().Installed[f.profile.Status.Identifier]
		return left == 0, fmt.Sprintf("%d have it", left), nil
	})
}
