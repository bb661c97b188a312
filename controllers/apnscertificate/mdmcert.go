package apnscertificate

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/mdmcert"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/pushcert"
)

// sendAgain is the pause after the service did not take a request: it is free and run by volunteers.
const sendAgain = 10 * time.Minute

// mdmcert has mdmcert.download sign the request: it is sent once, and the reply comes by mail to a person.
func (r *Reconciler) mdmcert(ctx context.Context, s *scope, vendor *mdmv1alpha1.MDMCertVendor, report *loop.Report) (*pushcert.Request, error) {
	reply, err := r.reply(ctx, s, vendor)
	if err != nil {
		return nil, err
	}
	awaited := &problem{mdmv1alpha1.APNSCertificateAwaitingMail, "mdmcert.download mails the signed request to " + vendor.Email +
		"; put the attachment into the Secret of spec.vendor.mdmcert.replySecretRef"}
	if reply != nil {
		request, err := r.openReply(ctx, s, reply)
		p := problemOf(err)
		if p == nil {
			return request, err
		}
		if p.reason != mdmv1alpha1.APNSCertificateReplyForAnotherKey || digest(reply) != string(s.store.Data[fileOpened]) { // or the one of the last time lies there still
			awaited = p
		}
	}
	if err := r.send(ctx, s, vendor, report); err != nil {
		return nil, err
	}
	return nil, awaited
}

// reply reads what a person has put into the Secret, nil if there is nothing.
func (r *Reconciler) reply(ctx context.Context, s *scope, vendor *mdmv1alpha1.MDMCertVendor) ([]byte, error) {
	if vendor.ReplySecretRef == nil || len(s.store.Data[fileRecipientKey]) == 0 {
		return nil, nil
	}
	reply, err := r.secretValue(ctx, s, *vendor.ReplySecretRef)
	if problemOf(err) != nil {
		err = nil // the mail has not come yet
	}
	return reply, err
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func (r *Reconciler) openReply(ctx context.Context, s *scope, reply []byte) (*pushcert.Request, error) {
	opened, err := mdmcert.Open(reply, s.store.Data[fileRecipient], s.store.Data[fileRecipientKey])
	switch {
	case errors.Is(err, mdmcert.ErrReplyForAnotherKey):
		return nil, &problem{mdmv1alpha1.APNSCertificateReplyForAnotherKey, err.Error()}
	case err != nil:
		return nil, &problem{mdmv1alpha1.APNSCertificateReplyMalformed, err.Error()}
	}
	s.store.Data[fileOpened] = []byte(digest(reply))
	if err := r.save(ctx, s.store); err != nil {
		return nil, err
	}
	return r.examine(s, opened)
}

// send sends the request, if it was not taken yet or is to be sent again.
func (r *Reconciler) send(ctx context.Context, s *scope, vendor *mdmv1alpha1.MDMCertVendor, report *loop.Report) error {
	if s.object.Status.MDMCert == nil {
		s.object.Status.MDMCert = &mdmv1alpha1.MDMCertStatus{}
	}
	status, now := s.object.Status.MDMCert, r.Clock.Now()
	wanted := mailing{Email: vendor.Email, Resend: s.object.Annotations[mdmv1alpha1.AnnotationResendRequest]}
	if sent := mailingOf(s.store); sent.At != nil && sent.Email == wanted.Email && sent.Resend == wanted.Resend {
		*status = mdmv1alpha1.MDMCertStatus{SentAt: sent.At, AttemptedAt: sent.At, Email: sent.Email, LastHandledResend: sent.Resend}
		return nil
	}
	if wait := s.patience(now); wait > 0 && status.Email == wanted.Email && status.LastHandledResend == wanted.Resend {
		report.Again(wait)
		return &problem{mdmv1alpha1.APNSCertificateServiceFailed, status.Failure}
	}
	client, err := r.service(ctx, s, vendor)
	if err != nil {
		return err
	}
	if err := r.recipient(ctx, s); err != nil {
		return err
	}
	attempted := metav1.NewTime(now)
	*status = mdmv1alpha1.MDMCertStatus{AttemptedAt: &attempted, Email: wanted.Email, LastHandledResend: wanted.Resend}
	if err := r.post(ctx, s, client, vendor.Email); err != nil {
		report.Again(sendAgain)
		status.Failure = bounded(err)
		return &problem{mdmv1alpha1.APNSCertificateServiceFailed, status.Failure}
	}
	status.SentAt, wanted.At = &attempted, &attempted
	if s.store.Data[fileSent], err = json.Marshal(wanted); err != nil {
		return err
	}
	return r.save(ctx, s.store)
}

// mailing is what the Secret remembers of a request that the service took: a status that was lost is no reason for another mail.
type mailing struct {
	At     *metav1.Time `json:"at,omitempty"`
	Email  string       `json:"email"`
	Resend string       `json:"resend,omitempty"`
}

// mailingOf returns the zero value when nothing was sent yet.
func mailingOf(k store) mailing {
	var m mailing
	if json.Unmarshal(k.Data[fileSent], &m) != nil {
		return mailing{}
	}
	return m
}

// patience is how long to wait after a failure until the service is asked again.
func (s *scope) patience(now time.Time) time.Duration {
	status := s.object.Status.MDMCert
	if status.Failure == "" || status.AttemptedAt == nil {
		return 0
	}
	return status.AttemptedAt.Add(sendAgain).Sub(now)
}

func (r *Reconciler) post(ctx context.Context, s *scope, client mdmcert.Client, email string) error {
	chain, err := pushcert.ReadCertificates(s.store.Data[fileRecipient])
	if err != nil {
		return err
	}
	return client.Request(ctx, s.store.Data[fileCSR], email, chain[0])
}

// recipient makes the pair that the reply is encrypted for, and keeps it before the request goes out.
func (r *Reconciler) recipient(ctx context.Context, s *scope) error {
	delete(s.store.Data, fileSent)
	if len(s.store.Data[fileRecipientKey]) == 0 {
		certificate, key, err := mdmcert.NewRecipient(r.Clock.Now())
		if err != nil {
			return err
		}
		s.store.Data[fileRecipient], s.store.Data[fileRecipientKey] = certificate, key
	}
	return r.save(ctx, s.store)
}

// service is the client of the service that the spec names.
func (r *Reconciler) service(ctx context.Context, s *scope, vendor *mdmv1alpha1.MDMCertVendor) (mdmcert.Client, error) {
	client := mdmcert.Client{URL: vendor.URL}
	refs := content.References{Secrets: []mdmv1alpha1.KeyReference{vendor.APIKeySecretRef}}
	if ref := vendor.CAConfigMapRef; ref != nil {
		refs.ConfigMaps = append(refs.ConfigMaps, *ref)
	}
	found, err := r.values(ctx, s, refs)
	if err != nil {
		return client, err
	}
	client.APIKey = string(found.Secrets[vendor.APIKeySecretRef])
	var roots *x509.CertPool
	if ref := vendor.CAConfigMapRef; ref != nil {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(found.ConfigMaps[*ref]) {
			return client, &problem{mdmv1alpha1.ReasonInvalid, "the key " + ref.Key + " of the ConfigMap " + ref.Name + " holds no PEM certificate"}
		}
	}
	client.HTTP = mdmcert.NewHTTPClient(roots)
	return client, nil
}

// maxFailure bounds what the status repeats of a failure, in bytes.
const maxFailure = 900

func bounded(err error) string {
	return strings.ToValidUTF8(err.Error()[:min(len(err.Error()), maxFailure)], "")
}
