package devicecommand

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// keepPINs puts the PINs that were delivered into a Secret, each under the name of its Device. It comes before the end is written, since a finished
// command is not looked at again.
func (r *Reconciler) keepPINs(ctx context.Context, s *scope, report *loop.Report) error {
	if s.refused != nil || s.late > 0 || !withPIN(s.command.Spec.Action) {
		return nil
	}
	secret, err := r.pinSecret(ctx, s.command)
	if err != nil {
		report.Again(conflictAgain)
		return err
	}
	added, err := r.newPINs(ctx, s, secret.Data)
	if err != nil {
		return err
	}
	if len(added) > 0 {
		if err := r.storePINs(ctx, secret, added); err != nil {
			return fmt.Errorf("storing PINs: %w", err)
		}
	}
	if len(secret.Data) > 0 {
		s.command.Status.PINSecretRef = &mdmv1alpha1.LocalReference{Name: secret.Name}
	}
	return nil
}

// pinSecret reads the Secret of a command, or returns a new one.
func (r *Reconciler) pinSecret(ctx context.Context, c *mdmv1alpha1.DeviceCommand) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	name := c.Name + "-pin"
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name}}
		return secret, controllerutil.SetControllerReference(c, secret, r.Client.Scheme())
	}
	if err != nil {
		return nil, fmt.Errorf("reading the Secret of PINs: %w", err)
	}
	if !metav1.IsControlledBy(secret, c) {
		return nil, loop.Stall(mdmv1alpha1.DeviceCommandSecretTaken,
			"the Secret %s, which the PINs should go to, belongs to something else: delete it; the server keeps the PINs meanwhile", name)
	}
	return secret, nil
}

// newPINs reads the PINs that devices were given and that have is without. A PIN whose Device has gone stands under the id of the device.
func (r *Reconciler) newPINs(ctx context.Context, s *scope, have map[string][]byte) (map[string][]byte, error) {
	list := func(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.ActionResult], error) {
		return s.server.Client().ActionResults(ctx, s.key, after, limit)
	}
	results, err := adminapi.All(ctx, list)
	if err != nil {
		return nil, link.Halt(err)
	}
	added := map[string][]byte{}
	for _, result := range results {
		if !result.HasPIN || result.DeliveredAt.IsZero() {
			continue
		}
		name, err := r.deviceName(ctx, s, result.DeviceID)
		if err != nil {
			return nil, err
		}
		if name == "" {
			name = result.DeviceID
		}
		if _, stored := have[name]; stored {
			continue
		}
		whole, err := s.server.Client().ActionResult(ctx, s.key, result.DeviceID)
		if err != nil {
			return nil, link.Halt(err)
		}
		added[name] = []byte(whole.PIN)
	}
	return added, nil
}

func (r *Reconciler) storePINs(ctx context.Context, secret *corev1.Secret, added map[string][]byte) error {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, added)
	if secret.ResourceVersion == "" {
		return r.Client.Create(ctx, secret)
	}
	return r.Client.Update(ctx, secret)
}
