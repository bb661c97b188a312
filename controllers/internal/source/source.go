// Package source reads the ConfigMaps and Secrets that an object is made of.
package source

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

// missingAgain is how often a source that is missing is looked for. Watching would take the right to list every Secret of a namespace.
const missingAgain = 10 * time.Second

// Read reads what refs name in a namespace. It waits for what is missing.
func Read(ctx context.Context, reader client.Reader, namespace string, refs content.References) (content.Sources, error) {
	sources := content.Sources{ConfigMaps: map[mdmv1alpha1.KeyReference][]byte{}, Secrets: map[mdmv1alpha1.KeyReference][]byte{}}
	for _, ref := range refs.ConfigMaps {
		m := &corev1.ConfigMap{}
		if err := get(ctx, reader, namespace, m, ref, "ConfigMap", mdmv1alpha1.ReasonConfigMapNotFound); err != nil {
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
	for _, ref := range refs.Secrets {
		m := &corev1.Secret{}
		if err := get(ctx, reader, namespace, m, ref, "Secret", mdmv1alpha1.ReasonSecretNotFound); err != nil {
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

func get(ctx context.Context, reader client.Reader, namespace string, into client.Object, ref mdmv1alpha1.KeyReference, kind, notFound string) error {
	err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, into)
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
