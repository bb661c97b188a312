package owned

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FileAWSRole of an APNSCertificate's Secret is the IAM role by which servers use a key in AWS KMS.
const FileAWSRole = "key.aws-role"

// GetSecret reads a Secret, or returns nil if there is none.
func GetSecret(ctx context.Context, c client.Reader, namespace, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return secret, nil
}

// Secret is an empty one with the server's labels.
func (s Server) Secret(name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: s.meta(name), Type: corev1.SecretTypeOpaque, Data: map[string][]byte{}}
}
