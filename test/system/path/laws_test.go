package path

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// refuse is for what CEL cannot see: the API server has to reach the webhook and to trust its certificate, or it lets everything pass.
func (f *fleet) refuse(ctx context.Context) error {
	err := f.Create(ctx, &mdmv1alpha1.Profile{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "unreadable"},
		Spec: mdmv1alpha1.ProfileSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: harness.ServerName},
			Selector:  &metav1.LabelSelector{},
			Apple: &mdmv1alpha1.AppleProfile{
				Type: mdmv1alpha1.AppleMobileconfig, Mobileconfig: &mdmv1alpha1.ContentSource{Inline: "no property list"},
			},
		},
	})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "admission webhook") {
		return errors.Join(errors.New("an unreadable profile was not refused by the webhook"), err)
	}
	return nil
}

// keepSecrets looks for what may be in Secrets and in the spec and status of objects only.
func (f *fleet) keepSecrets(ctx context.Context) error {
	private, err := f.private(ctx)
	if err != nil {
		return err
	}
	said, err := f.said(ctx)
	if err != nil {
		return err
	}
	for place, text := range said {
		for _, word := range private {
			if strings.Contains(text, word) {
				return fmt.Errorf("the %s of %d bytes hold %q", place, len(text), word)
			}
		}
	}
	return nil
}

// private are the serial numbers, UDIDs and enrolment tokens.
func (f *fleet) private(ctx context.Context) ([]string, error) {
	devices, tokens := &mdmv1alpha1.DeviceList{}, &mdmv1alpha1.EnrollmentTokenList{}
	if err := errors.Join(f.List(ctx, devices, client.InNamespace(namespace)), f.List(ctx, tokens, client.InNamespace(namespace))); err != nil {
		return nil, err
	}
	var words []string
	for _, d := range devices.Items {
		words = append(words, d.Status.Hardware.SerialNumber, d.Status.Hardware.UDID)
	}
	for _, t := range tokens.Items {
		secret := &corev1.Secret{}
		if err := f.Get(ctx, client.ObjectKey{Namespace: namespace, Name: t.Status.SecretRef.Name}, secret); err != nil {
			return nil, err
		}
		words = append(words, string(secret.Data["token"]))
	}
	if slices.Contains(words, "") || len(words) < 2*len(devices.Items)+1 {
		return nil, fmt.Errorf("there is nothing to look for: %d words", len(words))
	}
	return words, nil
}

// said is everything that the manager and the server have said: logs, metrics and events.
func (f *fleet) said(ctx context.Context) (map[string]string, error) {
	server, err := f.serverPod(ctx)
	if err != nil {
		return nil, err
	}
	manager, err := f.Pod(ctx, harness.Namespace, client.MatchingLabels{"app.kubernetes.io/component": "manager"})
	if err != nil {
		return nil, err
	}
	said := map[string]string{}
	for _, source := range []struct {
		pod    *corev1.Pod
		metric string // one that must be there
	}{{server, "kubemdm_server_build_info"}, {manager, "kubemdm_conditions"}} {
		name := source.pod.Labels["app.kubernetes.io/name"]
		logs, err := f.Logs(ctx, source.pod.Namespace, source.pod.Name, 100_000)
		if err != nil {
			return nil, err
		}
		metrics, err := f.Metrics(ctx, source.pod.Namespace, source.pod.Name)
		if err != nil {
			return nil, err
		}
		if !strings.Contains(metrics, source.metric) {
			return nil, fmt.Errorf("%s has no metrics %s*", name, source.metric)
		}
		said["logs of "+name], said["metrics of "+name] = logs, metrics
	}
	events := &corev1.EventList{}
	err = f.List(ctx, events, client.InNamespace(namespace))
	for _, e := range events.Items {
		said["events"] += e.Message + "\n"
	}
	return said, err
}
