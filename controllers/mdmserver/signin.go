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

// signIn is where the people of one platform sign in.
type signIn struct {
	mdmv1alpha1.SignIn
	// of says whose sign-in it is.
	of string
	// secret names the server's copy of the credentials.
	secret string
}

func (s *scope) signIns() []signIn {
	var all []signIn
	if apple := s.server.Spec.Apple; apple != nil && apple.SignIn != nil {
		all = append(all, signIn{*apple.SignIn, "Apple devices", s.server.AppleSignInName()})
	}
	if windows := s.server.Spec.Windows; windows != nil && windows.SignIn != nil {
		all = append(all, signIn{windows.SignIn.SignIn, "PCs", s.server.SignInName()})
	}
	return all
}

// signIns hands the credentials for the OpenID Connect issuers to the server: copies, so that the last good ones stay in use, whatever becomes of
// the Secrets that people look after. Without any the pod could not start.
func (r *Reconciler) signIns(ctx context.Context, s *scope, report *loop.Report) error {
	for _, in := range s.signIns() {
		if err := r.signIn(ctx, s, report, in); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reconciler) signIn(ctx context.Context, s *scope, report *loop.Report, in signIn) error {
	secret := s.server.Secret(in.secret)
	var wrong *fault
	switch err := r.readSignIn(ctx, s, in, secret.Data); {
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

// readSignIn gathers the files of a sign-in.
func (r *Reconciler) readSignIn(ctx context.Context, s *scope, in signIn, files map[string][]byte) error {
	var err error
	if files[serverconfig.ClientSecretFile], err = r.given(ctx, s, in.of, in.ClientSecretRef); err != nil || in.CASecretRef == nil {
		return err
	}
	if files[serverconfig.CAFile], err = r.given(ctx, s, in.of, *in.CASecretRef); err != nil {
		return err
	}
	if _, err := certs.Read(files[serverconfig.CAFile]); err != nil {
		return &fault{
			reason: mdmv1alpha1.MDMServerCertificateInvalid,
			message: fmt.Sprintf("the key %s of the Secret %s is no CA for the sign-in of %s (%v): replace it",
				in.CASecretRef.Key, in.CASecretRef.Name, in.of, err),
		}
	}
	return nil
}

// given is the content of a key of a Secret that a person looks after.
func (r *Reconciler) given(ctx context.Context, s *scope, of string, ref mdmv1alpha1.KeyReference) ([]byte, error) {
	secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, ref.Name)
	switch {
	case err != nil:
		return nil, err
	case secret == nil:
		return nil, &fault{
			reason:  mdmv1alpha1.ReasonSecretNotFound,
			message: fmt.Sprintf("the sign-in of %s needs the Secret %s: create it with the key %s", of, ref.Name, ref.Key),
		}
	case len(secret.Data[ref.Key]) == 0:
		return nil, &fault{
			reason:  mdmv1alpha1.ReasonSecretKeyMissing,
			message: fmt.Sprintf("the sign-in of %s needs the key %s in the Secret %s: add it", of, ref.Key, ref.Name),
		}
	}
	return secret.Data[ref.Key], nil
}
