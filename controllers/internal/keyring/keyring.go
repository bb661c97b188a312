// Package keyring keeps key material of an object in a Secret of the operator that outlives the object.
package keyring

import (
	"context"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/controllers/internal/owned"
)

// Keyring is the Secret. It has no owner reference: an object that is deleted by mistake must not take its keys along.
type Keyring struct {
	*corev1.Secret
	stored *corev1.Secret // as the API server has it; nil: not yet
}

// Open reads the Secret, or begins an empty one. taken is true when it is somebody else's.
func Open(ctx context.Context, reader client.Reader, namespace, name string) (k *Keyring, taken bool, err error) {
	secret, err := owned.GetSecret(ctx, reader, namespace, name)
	if err != nil {
		return nil, false, err
	}
	if secret == nil {
		return &Keyring{Secret: &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{owned.LabelManagedBy: owned.ManagedBy}},
			Data:       map[string][]byte{},
		}}, false, nil
	}
	k = &Keyring{Secret: secret.DeepCopy(), stored: secret}
	if k.Data == nil {
		k.Data = map[string][]byte{}
	}
	return k, secret.Labels[owned.LabelManagedBy] != owned.ManagedBy, nil
}

// Save writes the Secret if it changed. A Secret that somebody else changed meanwhile is a conflict, after which all is read again.
func (k *Keyring) Save(ctx context.Context, c client.Client) error {
	var err error
	switch {
	case k.stored == nil && len(k.Data) == 0:
		return nil
	case k.stored == nil:
		err = c.Create(ctx, k.Secret)
	case reflect.DeepEqual(k.stored.Data, k.Data):
		return nil
	default:
		err = c.Update(ctx, k.Secret)
	}
	if err == nil {
		k.stored = k.DeepCopy()
	}
	return err
}
