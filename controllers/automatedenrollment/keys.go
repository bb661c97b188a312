package automatedenrollment

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/keyring"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/source"
	"github.com/kubemdm/kubemdm/internal/ade"
	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/keys/envelope"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// Files of the Secret <name>-ade: the pair in use and its token, and behind the prefix a new pair that no token was given for yet. The key and the
// token lie there as they are, or sealed for a key in a KMS, then with the suffix.
const (
	requestPrefix = "request."
	fileToken     = "token.json"
	sealedSuffix  = ".sealed"
	// The value of the annotation that asked for the newest pair.
	fileRenewed = "renewed"
)

// opened is the content of the Secret that its KMS opened, kept for as long as the Secret is the same: the KMS is asked once.
type opened struct {
	version string // resourceVersion of the Secret
	files   map[string][]byte
}

// keys watches over the key pairs, and makes one when none is there or another one is asked for.
func (r *Reconciler) keys(ctx context.Context, s *scope, report *loop.Report) error {
	report.Again(recheck)
	store, taken, err := keyring.Open(ctx, r.Client, s.object.Namespace, s.object.KeySecretName())
	if err != nil {
		return err
	}
	if taken {
		return loop.Stall(mdmv1alpha1.AutomatedEnrollmentSecretTaken,
			"the Secret %s exists and belongs to something else: delete it, or use another name for the AutomatedEnrollment", store.Name)
	}
	s.store = store
	s.object.Status.SecretRef = &mdmv1alpha1.LocalReference{Name: store.Name}
	renew, keyless := s.renewalAsked(), !s.hasKey("") && !s.hasKey(requestPrefix)
	if keyless && !renew && s.object.Status.PublicKeyCertificate != "" {
		return loop.Stall(mdmv1alpha1.AutomatedEnrollmentKeyLost, "the key pair in the Secret %s is gone: restore the Secret from a backup, or set the annotation %s "+
			"to a new value to begin again with another public key; devices stay enrolled", store.Name, mdmv1alpha1.AnnotationRenew)
	}
	if renew || keyless {
		if err := r.makePair(ctx, s); err != nil {
			return r.kmsTrouble(err)
		}
	}
	s.showKey()
	return nil
}

// renewalAsked says whether a person asked for another pair since the last one. The Secret and the status both remember it, for one of them may be lost.
func (s *scope) renewalAsked() bool {
	asked := s.object.Annotations[mdmv1alpha1.AnnotationRenew]
	return asked != "" && asked != string(s.store.Data[fileRenewed]) && asked != s.object.Status.LastHandledRenew
}

// showKey puts the newest public key into the status.
func (s *scope) showKey() {
	status, files := &s.object.Status, s.store.Data
	status.LastHandledRenew = string(files[fileRenewed])
	status.PublicKeyCertificate = string(files[serverconfig.CertFile])
	if newer := files[requestPrefix+serverconfig.CertFile]; len(newer) > 0 {
		status.PublicKeyCertificate = string(newer)
	}
}

func (s *scope) hasKey(prefix string) bool {
	name := prefix + serverconfig.KeyFile
	return len(s.store.Data[prefix+serverconfig.CertFile]) > 0 && len(s.store.Data[name])+len(s.store.Data[name+sealedSuffix]) > 0
}

// makePair makes a pair and keeps it before its certificate is shown to anybody.
func (r *Reconciler) makePair(ctx context.Context, s *scope) error {
	certificate, key, err := ade.NewPair("KubeMDM "+s.object.Namespace+"/"+s.object.Name, r.Clock.Now())
	if err != nil {
		return err
	}
	if err := r.put(ctx, s, requestPrefix+serverconfig.KeyFile, key); err != nil {
		return err
	}
	s.store.Data[requestPrefix+serverconfig.CertFile] = certificate
	if asked := s.object.Annotations[mdmv1alpha1.AnnotationRenew]; asked != "" {
		s.store.Data[fileRenewed] = []byte(asked)
	}
	return s.store.Save(ctx, r.Client)
}

// put puts a file into the Secret as the spec wants it: as it is, or sealed.
func (r *Reconciler) put(ctx context.Context, s *scope, name string, plain []byte) error {
	delete(s.store.Data, name)
	delete(s.store.Data, name+sealedSuffix)
	kms := s.object.Spec.KeyStorage.KMS
	if kms == nil {
		s.store.Data[name] = plain
		return nil
	}
	o, err := r.kmsOptions(ctx, s)
	if err != nil {
		return err
	}
	sealing, err := keys.OpenDecrypter(ctx, kms.URI, o)
	if err != nil {
		return err
	}
	public, ok := sealing.Public().(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("%w: the key is not an RSA key", keys.ErrRefused)
	}
	s.store.Data[name+sealedSuffix], err = envelope.Seal(public, kms.URI, plain)
	return err
}

// get reads a file of the Secret, nil if it is not there.
func (r *Reconciler) get(ctx context.Context, s *scope, name string) ([]byte, error) {
	if plain := s.store.Data[name]; len(plain) > 0 {
		return plain, nil
	}
	sealed := s.store.Data[name+sealedSuffix]
	if len(sealed) == 0 {
		return nil, nil
	}
	kept := &s.account.opened
	if kept.version != s.store.ResourceVersion {
		*kept = opened{version: s.store.ResourceVersion, files: map[string][]byte{}}
	}
	if plain, ok := kept.files[name]; ok {
		return plain, nil
	}
	o, err := r.kmsOptions(ctx, s)
	if err != nil {
		return nil, err
	}
	plain, err := envelope.Open(ctx, sealed, o)
	if err == nil {
		kept.files[name] = plain
	}
	return plain, err
}

func (r *Reconciler) kmsOptions(ctx context.Context, s *scope) (keys.Options, error) {
	kms := s.object.Spec.KeyStorage.KMS
	if kms == nil || kms.PINSecretRef == nil {
		return keys.Options{}, nil
	}
	found, err := source.Read(ctx, r.Client, s.object.Namespace, content.References{Secrets: []mdmv1alpha1.KeyReference{*kms.PINSecretRef}})
	return keys.Options{PIN: strings.TrimSpace(string(found.Secrets[*kms.PINSecretRef]))}, err
}

// kmsTrouble turns an error of the KMS into what a step returns; any other one is left as it is.
func (r *Reconciler) kmsTrouble(err error) error {
	switch {
	case errors.Is(err, keys.ErrUnsupported):
		return loop.Stall(mdmv1alpha1.AutomatedEnrollmentKMSFailed, "%s", err)
	case errors.Is(err, keys.ErrNoKey), errors.Is(err, keys.ErrRefused), errors.Is(err, keys.ErrUnavailable):
		return loop.Wait(mdmv1alpha1.AutomatedEnrollmentKMSFailed, recheck, "%s", err)
	}
	return err
}

// pair reads a pair of the Secret, nil without error if it is not there.
func (r *Reconciler) pair(ctx context.Context, s *scope, prefix string) (*x509.Certificate, *rsa.PrivateKey, error) {
	if !s.hasKey(prefix) {
		return nil, nil, nil
	}
	key, err := r.get(ctx, s, prefix+serverconfig.KeyFile)
	if err != nil {
		return nil, nil, err
	}
	read, err := certs.ReadPair(s.store.Data[prefix+serverconfig.CertFile], key)
	if err != nil {
		return nil, nil, loop.Stall(mdmv1alpha1.AutomatedEnrollmentKeyLost, "the pair in the Secret %s cannot be read (%v): restore the Secret from a backup", s.store.Name, err)
	}
	private, ok := read.Key.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, loop.Stall(mdmv1alpha1.AutomatedEnrollmentKeyLost, "the key in the Secret %s is not an RSA key: restore the Secret from a backup", s.store.Name)
	}
	return read.Leaf, private, nil
}
