package mdmserver

import (
	"context"
	"crypto/x509"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// push hands the push certificate to the server: a copy of the pair that the APNSCertificate's controller found good. The server mounts
// only the copy, so a pair that is broken or has another topic never reaches it, and the last good one stays in use.
func (r *Reconciler) push(ctx context.Context, s *scope, report *loop.Report) error {
	if s.server.Spec.Apple == nil {
		return nil
	}
	certificate := s.certificate
	if certificate == nil {
		report.False(mdmv1alpha1.MDMServerNoAPNSCertificate, "name an APNSCertificate in spec.apple.apnsCertificateRef: without one no Apple device can enrol")
		return nil
	}
	pair, leaf, err := r.goodPair(ctx, certificate)
	if err != nil {
		return err
	}
	if pair == nil {
		report.False(mdmv1alpha1.MDMServerAPNSCertificateNotReady, "see the conditions of the APNSCertificate %s", certificate.Name)
		return nil
	}
	secret := s.server.Secret(s.server.PushName())
	for _, file := range []string{serverconfig.CertFile, serverconfig.KeyFile, serverconfig.KeyURIFile, serverconfig.KeyPINFile} {
		if content, ok := pair.Data[file]; ok {
			secret.Data[file] = content
		}
	}
	if err := owned.Apply(ctx, r.Client, s.server.MDMServer, secret); err != nil {
		return err
	}
	s.note("Push", "", leaf)
	s.judgePush(report, certs.Fingerprint(leaf))
	return nil
}

// goodPair returns the Secret of an APNSCertificate and the certificate in use, if the Secret holds exactly what its controller found good, or nil.
// Whether something newer was refused meanwhile does not matter: the pair in use stays.
func (r *Reconciler) goodPair(ctx context.Context, c *mdmv1alpha1.APNSCertificate) (*corev1.Secret, *x509.Certificate, error) {
	if c.Status.Fingerprint == "" {
		return nil, nil, nil
	}
	secret, err := owned.GetSecret(ctx, r.Client, c.Namespace, c.KeySecretName())
	if secret == nil || err != nil {
		return nil, nil, err
	}
	chain, err := certs.Read(secret.Data[serverconfig.CertFile])
	if err != nil || certs.Fingerprint(chain[0]) != c.Status.Fingerprint {
		return nil, nil, nil //nolint:nilerr // another content, which is for the APNSCertificate's controller to judge
	}
	return secret, chain[0], nil
}

// pushCertificate reads the APNSCertificate that the server uses, nil if there is none.
func (r *Reconciler) pushCertificate(ctx context.Context, server *mdmv1alpha1.MDMServer) (*mdmv1alpha1.APNSCertificate, error) {
	ref := server.APNSCertificate()
	if ref == nil {
		return nil, nil
	}
	certificate := &mdmv1alpha1.APNSCertificate{}
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: server.Namespace, Name: ref.Name}, certificate); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return certificate, nil
}

// awsRole is the IAM role that the server needs for the push key in use, or for the one that is to come if there is none yet; "" for none.
func (r *Reconciler) awsRole(ctx context.Context, c *mdmv1alpha1.APNSCertificate) (string, error) {
	if c == nil {
		return "", nil
	}
	secret, err := owned.GetSecret(ctx, r.Client, c.Namespace, c.KeySecretName())
	if err != nil {
		return "", err
	}
	if secret != nil && len(secret.Data[serverconfig.CertFile]) > 0 {
		return string(secret.Data[owned.FileAWSRole]), nil
	}
	if kms := c.Spec.KeyStorage.KMS; kms != nil && kms.AWS != nil {
		return kms.AWS.RoleARN, nil
	}
	return "", nil
}

func (s *scope) judgePush(report *loop.Report, fingerprint string) {
	if s.connecting {
		report.Keep()
		return
	}
	if s.answers == nil {
		report.Unknown(mdmv1alpha1.ReasonServerUnreachable, "the server cannot be asked which push certificate it holds")
		return
	}
	switch push := s.answers.Info.Push; {
	case push.Certificate.Fingerprint != fingerprint:
		report.False(mdmv1alpha1.MDMServerRollingOut, "the server has not loaded the push certificate yet")
	case push.Paused:
		report.False(mdmv1alpha1.MDMServerPushPaused, "pushing pauses (%s): %s", push.Reason, push.Message)
	default:
		report.True(mdmv1alpha1.ReasonReady, "the server holds the push certificate for the topic %s%s", push.Topic, hindrance(push))
	}
}

// hindrance tells of what keeps the server from pushing to some devices only.
func hindrance(p adminapi.PushInfo) string {
	if p.Reason == "" {
		return ""
	}
	return "; some devices are not woken (" + p.Reason + "): " + p.Message
}
