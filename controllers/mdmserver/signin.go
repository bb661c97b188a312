package mdmserver

import (
	"context"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// signIn hands the credentials for the OpenID Connect issuer to the server: a copy, so that the last good ones stay in use, whatever becomes of
// the Secrets that people look after.
func (r *Reconciler) signIn(ctx context.Context, s *scope) error {
	if s.server.Spec.Windows == nil || s.server.Spec.Windows.SignIn == nil {
		return nil
	}
	spec := s.server.Spec.Windows.SignIn
	secret := s.server.Secret(s.server.SignInName())
	var err error
	if secret.Data[serverconfig.ClientSecretFile], err = r.given(ctx, s, spec.ClientSecretRef); err != nil {
		return err
	}
	if ref := spec.CASecretRef; ref != nil {
		if secret.Data[serverconfig.CAFile], err = r.given(ctx, s, *ref); err != nil {
			return err
		}
		if _, err := certs.Read(secret.Data[serverconfig.CAFile]); err != nil {
			return loop.Stall(mdmv1alpha1.MDMServerCertificateInvalid, "the key %s of the Secret %s is no CA for the sign-in: %v", ref.Key, ref.Name, err)
		}
	}
	return owned.Apply(ctx, r.Client, s.server.MDMServer, secret)
}

// given is the content of a key of a Secret that a person looks after.
func (r *Reconciler) given(ctx context.Context, s *scope, ref mdmv1alpha1.KeyReference) ([]byte, error) {
	secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, ref.Name)
	switch {
	case err != nil:
		return nil, err
	case secret == nil:
		return nil, loop.Stall(mdmv1alpha1.ReasonSecretNotFound, "the sign-in of PCs needs the Secret %s: create it with the key %s", ref.Name, ref.Key)
	case len(secret.Data[ref.Key]) == 0:
		return nil, loop.Stall(mdmv1alpha1.ReasonSecretKeyMissing, "the sign-in of PCs needs the key %s in the Secret %s: add it", ref.Key, ref.Name)
	}
	return secret.Data[ref.Key], nil
}
