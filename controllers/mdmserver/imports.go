package mdmserver

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

// imports looks whether the CAs of other servers are there, whose certificates imported devices use until they have renewed them. The pods mount the
// ConfigMaps themselves, and do without: a fault here costs none but those devices anything.
func (r *Reconciler) imports(ctx context.Context, s *scope, report *loop.Report) error {
	apple := s.server.Spec.Apple
	if apple == nil {
		return nil
	}
	for _, i := range apple.Imports {
		err := r.checkCA(ctx, s.server.Namespace, i.CAConfigMapRef)
		var wrong *fault
		if errors.As(err, &wrong) {
			report.False(wrong.reason, "the import %s needs the certificates of the CA that issued those of its devices, and %s; until then devices that have not "+
				"renewed their certificates yet are refused when the server starts anew", i.Name, wrong.message)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCA returns a fault if there is no CA in a key of a ConfigMap.
func (r *Reconciler) checkCA(ctx context.Context, namespace string, ref mdmv1alpha1.KeyReference) error {
	configMap := &corev1.ConfigMap{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, configMap)
	switch {
	case apierrors.IsNotFound(err):
		return &fault{mdmv1alpha1.ReasonConfigMapNotFound, fmt.Sprintf("the ConfigMap %s does not exist: create it with the key %s", ref.Name, ref.Key)}
	case err != nil:
		return err
	}
	pem, found := configMap.BinaryData[ref.Key]
	if text, isText := configMap.Data[ref.Key]; isText {
		pem, found = []byte(text), true
	}
	if !found {
		return &fault{mdmv1alpha1.ReasonSecretKeyMissing, fmt.Sprintf("the ConfigMap %s has no key %s: add it", ref.Name, ref.Key)}
	}
	if _, err := certs.Read(pem); err != nil {
		return &fault{mdmv1alpha1.MDMServerCertificateInvalid, fmt.Sprintf("the key %s of the ConfigMap %s holds none (%v): replace it", ref.Key, ref.Name, err)}
	}
	return nil
}
