package mdmserver

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// page gives the server the logo of the enrolment page: a copy, so that the last good one stays in use. Nothing here keeps a server from its work.
func (r *Reconciler) page(ctx context.Context, s *scope, report *loop.Report) error {
	ref := s.server.Spec.EnrollmentPage.LogoConfigMapRef
	if ref == nil {
		return nil
	}
	logo, err := r.logo(ctx, s.server.Namespace, *ref)
	var wrong *fault
	if errors.As(err, &wrong) {
		report.False(wrong.reason, "%s; until then the page goes on with what it had", wrong.message)
		return nil
	}
	if err != nil {
		return err
	}
	return owned.Apply(ctx, r.Client, s.server.MDMServer, s.server.PageConfigMap(logo))
}

// logo is the image that a person put into a ConfigMap.
func (r *Reconciler) logo(ctx context.Context, namespace string, ref mdmv1alpha1.KeyReference) ([]byte, error) {
	given := &corev1.ConfigMap{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, given)
	if apierrors.IsNotFound(err) {
		return nil, &fault{mdmv1alpha1.MDMServerLogoNotFound, fmt.Sprintf("the logo needs the ConfigMap %s: create it with the key %s", ref.Name, ref.Key)}
	}
	if err != nil {
		return nil, err
	}
	content, found := given.BinaryData[ref.Key]
	if text, isText := given.Data[ref.Key]; isText {
		content, found = []byte(text), true
	}
	if !found {
		return nil, &fault{mdmv1alpha1.MDMServerLogoNotFound, fmt.Sprintf("the logo needs the key %s in the ConfigMap %s: add it", ref.Key, ref.Name)}
	}
	if _, err := serverconfig.LogoType(content); err != nil {
		return nil, &fault{mdmv1alpha1.MDMServerLogoInvalid, fmt.Sprintf("the key %s of the ConfigMap %s is no logo (%v): replace it", ref.Key, ref.Name, err)}
	}
	return content, nil
}
