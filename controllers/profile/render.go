package profile

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/payload/apple"
)

// Sources are read again and again: watching them would take the right to list every Secret of a namespace.
const (
	// refresh is how often the sources of a Profile are compared with what was rendered.
	refresh = time.Minute
	// missingAgain is how often a source that is missing is looked for.
	missingAgain = 10 * time.Second
)

// render makes the configuration profile of what the Profile says and refers to.
func (r *Reconciler) render(ctx context.Context, s *scope, report *loop.Report) error {
	sources, err := r.resolve(ctx, s.profile)
	if err != nil {
		return err
	}
	if len(sources.ConfigMaps)+len(sources.Secrets) > 0 {
		report.Again(refresh)
	}
	s.rendered, err = apple.Render(s.profile, sources)
	var invalid *apple.Error
	if errors.As(err, &invalid) {
		return loop.Stall(invalid.Reason, "%s", invalid.Message)
	}
	return err
}

// resolve reads what the Profile refers to.
func (r *Reconciler) resolve(ctx context.Context, p *mdmv1alpha1.Profile) (apple.Sources, error) {
	configMaps, secrets := apple.References(p)
	sources := apple.Sources{ConfigMaps: map[mdmv1alpha1.KeyReference][]byte{}, Secrets: map[mdmv1alpha1.KeyReference][]byte{}}
	for _, ref := range configMaps {
		m := &corev1.ConfigMap{}
		if err := r.read(ctx, p, m, ref, "ConfigMap", mdmv1alpha1.ReasonConfigMapNotFound); err != nil {
			return sources, err
		}
		value, found := m.BinaryData[ref.Key]
		if text, isText := m.Data[ref.Key]; isText {
			value, found = []byte(text), true
		}
		if !found {
			return sources, keyMissing("ConfigMap", ref)
		}
		sources.ConfigMaps[ref] = value
	}
	for _, ref := range secrets {
		m := &corev1.Secret{}
		if err := r.read(ctx, p, m, ref, "Secret", mdmv1alpha1.ReasonSecretNotFound); err != nil {
			return sources, err
		}
		value, found := m.Data[ref.Key]
		if !found {
			return sources, keyMissing("Secret", ref)
		}
		sources.Secrets[ref] = value
	}
	return sources, nil
}

func (r *Reconciler) read(ctx context.Context, p *mdmv1alpha1.Profile, into client.Object, ref mdmv1alpha1.KeyReference, kind, notFound string) error {
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: ref.Name}, into)
	if apierrors.IsNotFound(err) {
		return loop.Wait(notFound, missingAgain, "the %s %s does not exist: create it or correct the name", kind, ref.Name)
	}
	if err != nil {
		return fmt.Errorf("reading the %s %s: %w", kind, ref.Name, err)
	}
	return nil
}

func keyMissing(kind string, ref mdmv1alpha1.KeyReference) error {
	return loop.Wait(mdmv1alpha1.ReasonSecretKeyMissing, missingAgain, "the %s %s has no key %s: add it or correct the key", kind, ref.Name, ref.Key)
}
