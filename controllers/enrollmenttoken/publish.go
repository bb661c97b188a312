package enrollmenttoken

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/validate"
)

const (
	// keyToken and keyURL are the keys of the Secret: the token, and the whole address to open on an Apple device.
	keyToken = "token"
	keyURL   = "url"
	// tokenSize is in bytes: 256 bits cannot be guessed.
	tokenSize = 32
	// recheck is how often a Device that does not exist yet, or the Secret, is looked at again.
	recheck = time.Minute
)

// sent is what was PUT, and in which session.
type sent struct {
	session *link.Server
	token   adminapi.Token
}

// publish writes the token to its Secret and its hash to the server.
func (r *Reconciler) publish(ctx context.Context, s *scope, report *loop.Report) error {
	valid := loop.Admit(mdmv1alpha1.EnrollmentTokenPublished, func() field.ErrorList { return validate.EnrollmentToken(s.token) })
	if err := valid.Run(ctx, report); err != nil {
		return err
	}
	report.Again(recheck)
	server := &mdmv1alpha1.MDMServer{}
	if err := r.Client.Get(ctx, s.serverKey(), server); apierrors.IsNotFound(err) {
		return loop.Wait(mdmv1alpha1.ReasonServerNotFound, 0, "create the MDMServer %s, or make a token with another spec.serverRef", s.token.Spec.ServerRef.Name)
	} else if err != nil {
		return err
	}
	token, err := r.describe(ctx, s)
	if err != nil {
		return err
	}
	if token.Platforms, err = s.platforms(server); err != nil {
		return err
	}
	s.show(server, token.Platforms)
	if err := r.writeSecret(ctx, s); err != nil {
		return err
	}
	token.Hash = s.hash
	session, err := r.Links.Await(ctx, r.Client, s.token, s.token.Spec.ServerRef.Name, mdmv1alpha1.EnrollmentTokenPublished, report)
	if err != nil {
		return err
	}
	if err := r.put(ctx, session, token); err != nil {
		return link.Halt(err)
	}
	if status, known := session.Token(s.key()); known {
		s.uses = status.Uses
	}
	report.True(mdmv1alpha1.ReasonReady, "the Secret %s holds %s", s.token.Status.SecretRef.Name, handout(token.Platforms))
	return nil
}

// describe is the token as the server should know it, without its hash and its platforms.
func (r *Reconciler) describe(ctx context.Context, s *scope) (adminapi.Token, error) {
	spec := s.token.Spec
	token := adminapi.Token{Key: s.key(), MaxUses: int(spec.MaxUses), Labels: spec.Labels}
	if spec.ExpiresAt != nil {
		token.ExpiresAt = spec.ExpiresAt.UTC()
	}
	if spec.DeviceRef == nil {
		return token, nil
	}
	device := &mdmv1alpha1.Device{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.token.Namespace, Name: spec.DeviceRef.Name}, device)
	if apierrors.IsNotFound(err) {
		return token, loop.Wait(mdmv1alpha1.EnrollmentTokenDeviceNotFound, recheck, "create the Device %s, or make a token with another spec.deviceRef", spec.DeviceRef.Name)
	}
	if err != nil {
		return token, err
	}
	token.SerialNumber, token.UDID = device.Spec.SerialNumber, device.Spec.UDID
	if token.SerialNumber == "" && token.UDID == "" {
		return token, loop.Wait(mdmv1alpha1.EnrollmentTokenDeviceUnidentified, recheck, "give the Device %s a serialNumber or a udid to bind the token to", device.Name)
	}
	return token, nil
}

// writeSecret makes the Secret with a new token, or keeps the address in it right.
func (r *Reconciler) writeSecret(ctx context.Context, s *scope) error {
	name := s.token.Spec.SecretName
	if name == "" {
		name = s.token.Name + "-enrollment"
	}
	secret, err := owned.GetSecret(ctx, r.Client, s.token.Namespace, name)
	if err != nil {
		return err
	}
	if secret != nil && !metav1.IsControlledBy(secret, s.token) {
		return loop.Stall(mdmv1alpha1.EnrollmentTokenSecretTaken, "the Secret %s exists and belongs to something else: delete it, or make a token with another spec.secretName", name)
	}
	s.token.Status.SecretRef = &mdmv1alpha1.LocalReference{Name: name}
	token := ""
	if secret != nil {
		token = string(secret.Data[keyToken])
	}
	if token == "" {
		token = newToken()
	}
	sum := sha256.Sum256([]byte(token))
	s.hash = hex.EncodeToString(sum[:])
	data := map[string][]byte{keyToken: []byte(token)}
	if base := s.token.Status.URL; base != "" {
		data[keyURL] = []byte(base + token)
	}
	if secret != nil {
		if maps.EqualFunc(secret.Data, data, bytes.Equal) {
			return nil
		}
		secret.Data = data
		return r.Client.Update(ctx, secret)
	}
	secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: s.token.Namespace, Name: name,
		Labels: map[string]string{owned.LabelManagedBy: owned.ManagedBy, mdmv1alpha1.LabelServer: s.token.Spec.ServerRef.Name},
	}, Data: data}
	if err := controllerutil.SetControllerReference(s.token, secret, r.Client.Scheme()); err != nil {
		return err
	}
	return r.Client.Create(ctx, secret)
}

func newToken() string {
	b := make([]byte, tokenSize)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// put tells the server unless it was told the same in this session.
func (r *Reconciler) put(ctx context.Context, session *link.Server, token adminapi.Token) error {
	if was, ok := r.sent.Load(token.Key); ok && was.(sent).session == session && reflect.DeepEqual(was.(sent).token, token) {
		return nil
	}
	if _, err := session.PutToken(ctx, token); err != nil {
		return err
	}
	r.sent.Store(token.Key, sent{session: session, token: token})
	return nil
}

// count says whether a device may still enrol with the token.
func (r *Reconciler) count(_ context.Context, s *scope, report *loop.Report) error {
	spec, status := s.token.Spec, &s.token.Status
	status.Uses, status.UsesLeft = ptr.To(int32(s.uses)), nil
	if spec.MaxUses > 0 {
		status.UsesLeft = ptr.To(max(0, spec.MaxUses-int32(s.uses)))
	}
	switch {
	case spec.ExpiresAt != nil && !r.Clock.Now().Before(spec.ExpiresAt.Time):
		report.False(mdmv1alpha1.EnrollmentTokenExpired, "the token expired; set a later spec.expiresAt, or delete it")
		return nil
	case status.UsesLeft != nil && *status.UsesLeft == 0:
		report.False(mdmv1alpha1.EnrollmentTokenUsedUp, "%d devices enrolled with the token; raise spec.maxUses, or delete it", s.uses)
		return nil
	case spec.ExpiresAt != nil:
		report.Again(spec.ExpiresAt.Sub(r.Clock.Now()))
	}
	return nil
}
