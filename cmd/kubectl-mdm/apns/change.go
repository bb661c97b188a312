package apns

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// fields is a part of a JSON merge patch: what is not named stays.
type fields map[string]any

// owner is how the API server remembers who wrote a field.
const owner = client.FieldOwner(cli.FieldManager)

// stamp is a value that an annotation did not have before.
func stamp(e *cli.Env) string { return e.Clock.Now().UTC().Format(time.RFC3339Nano) }

// change merges a spec (nil: none) and annotations into the certificate. It asks for a reconcile in the same write, since not everything that it
// brings about is watched, and returns what status.lastHandledRequest echoes once the operator has seen the change.
func change(ctx context.Context, e *cli.Env, s *cli.Session, c *mdmv1alpha1.APNSCertificate, spec, annotations fields) (asked string, err error) {
	if err := paused(c); err != nil {
		return "", err
	}
	asked = stamp(e)
	all := fields{mdmv1alpha1.AnnotationRequestedAt: asked}
	for name, value := range annotations {
		all[name] = value
	}
	patch := fields{"metadata": fields{"annotations": all}}
	if spec != nil {
		patch["spec"] = spec
	}
	if err := merge(ctx, s, c, patch); err != nil {
		return "", fmt.Errorf("changing the APNSCertificate %s: %w", c.Name, err)
	}
	return asked, nil
}

// merge patches an object.
func merge(ctx context.Context, s *cli.Session, o client.Object, patch fields) error {
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return s.Patch(ctx, o, client.RawPatch(types.MergePatchType, body), owner)
}

// keep puts a value under a key of a Secret, and makes the Secret if there is none. Other keys of it stay.
func keep(ctx context.Context, s *cli.Session, ref mdmv1alpha1.KeyReference, value []byte) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: ref.Name}}
	err := merge(ctx, s, secret, fields{"data": fields{ref.Key: value}})
	if isAbsent(err) {
		secret = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: ref.Name},
			Data:       map[string][]byte{ref.Key: value},
		}
		err = s.Create(ctx, secret, owner)
	}
	if err != nil {
		return fmt.Errorf("writing %s into the Secret %s: %w", ref.Key, ref.Name, err)
	}
	return nil
}
