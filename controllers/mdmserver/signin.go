package mdmserver

import (
	"context"
	"errors"
	"fmt"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// fault is the error of a Secret that a person looks after.
type fault struct{ reason, message string }

func (f *fault) Error() string { return f.message }

// signIn hands the credentials for the OpenID Connect issuer to the server: a copy, so that the last good ones stay in use, whatever becomes of
// the Secrets that people look after. Without any the pod could not start.
func (r *Reconciler) signIn(ctx context.Context, s *scope, report *loop.Report) error {
	if s.server.Spec.Windows == nil || s.server.Spec.Windows.SignIn == nil {
		return nil
	}
	secret := s.server.Secret(s.server.SignInName())
	var wrong *fault
	switch err := r.readSignIn(ctx, s, secret.Data); {
	case err == nil:
		return owned.Apply(ctx, r.Client, s.server.MDMServer, secret)
	case !errors.As(err, &wrong):
		return err
	}
	last, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, secret.Name)
	switch {
	case err != nil:
		return err
	case last == nil:
		return loop.Stall(wrong.reason, "%s", wrong.message)
	}
	report.False(wrong.reason, "%s; until then the server goes on with what it had", wrong.message)
	return nil
}

// readSignIn gathers the files of the sign-in.
func (r *Reconciler) readSignIn(ctx context.Context, s *scope, files map[string][]byte) error {
	spec := s.server.Spec.Windows.SignIn
	var err error
	if files[serverconfig.ClientSecretFile], err = r.given(ctx, s, spec.ClientSecretRef); err != nil || spec.CASecretRef == nil {
		return err
	}
	if files[serverconfig.CAFile], err = r.given(ctx, s, *spec.CASecretRef); err != nil {
		return err
	}
	if _, err := certs.Read(files[serverconfig.CAFile]); err != nil {
		return &fault{
			reason:  mdmv1alpha1.MDMServerCertificateInvalid,
			message: fmt.Sprintf("the key %s of the Secret %s is no CA for the sign-in of PCs (%v): replace it", spec.CASecretRef.Key, spec.CASecretRef.Name, err),
		}
	}
	return nil
}

// given is the content of a key of a Secret that a person looks after.
func (r *Reconciler) given(ctx context.Context, s *scope, ref mdmv1alpha1.KeyReference) ([]byte, error) {
	secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, ref.Name)
	switch {
	case err != nil:
		return nil, err
	case secret == nil:
		return nil, &fault{reason: mdmv1alpha1.ReasonSecretNotFound, message: fmt.Sprintf("the sign-in of PCs needs the Secret %s: create it with the key %s", ref.Name, ref.Key)}
	case len(secret.Data[ref.Key]) == 0:
		return nil, &fault{reason: mdmv1alpha1.ReasonSecretKeyMissing, message: fmt.Sprintf("the sign-in of PCs needs the key %s in the Secret %s: add it", ref.Key, ref.Name)}
	}
	return secret.Data[ref.Key], nil
}
