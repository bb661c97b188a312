package automatedenrollment

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/remind"
	"github.com/kubemdm/kubemdm/controllers/internal/source"
	"github.com/kubemdm/kubemdm/internal/ade"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// refusal is why a token that was given is not in use. It is what a person corrects.
type refusal struct {
	reason, message string
	// missing: none was given.
	missing bool
}

func (r *refusal) Error() string { return r.message }

// token takes the newest token that was given into use, if it is better than the one in use.
func (r *Reconciler) token(ctx context.Context, s *scope, report *loop.Report) error {
	live, err := r.liveToken(ctx, s)
	if err != nil {
		return r.kmsTrouble(err)
	}
	live, refused, err := r.renewed(ctx, s, live)
	if err != nil {
		return r.kmsTrouble(err)
	}
	if live.AccessToken == "" {
		if refused != nil {
			s.object.Status.NextStep = "Correct what was given: " + refused.message
			return loop.Wait(refused.reason, recheck, "%s", refused.message)
		}
		s.object.Status.NextStep = firstStep
		return loop.Wait(mdmv1alpha1.AutomatedEnrollmentAwaitingToken, recheck, "no token was given yet")
	}
	if err := r.connect(ctx, s, live); err != nil {
		return err
	}
	s.object.Status.ConsumerKey, s.object.Status.TokenNotAfter = live.ConsumerKey, new(metav1.NewTime(live.Expiry))
	if refused != nil {
		report.False(refused.reason, "%s; the token in use stays", refused.message)
	}
	return nil
}

// renewed returns the token in use once the newest that was given is looked at, and why that is not it.
func (r *Reconciler) renewed(ctx context.Context, s *scope, live ade.Token) (ade.Token, *refusal, error) {
	given, prefix, err := r.givenToken(ctx, s)
	if err == nil && given.AccessToken != "" && !same(given, live) {
		if err = r.accept(ctx, s, live, given, prefix); err == nil {
			return given, nil, nil
		}
	}
	var refused *refusal
	switch {
	case !errors.As(err, &refused):
		return live, nil, err
	case refused.missing && live.AccessToken != "":
		return live, nil, nil // nothing new was given; what is in use lies in the operator's own Secret
	}
	return live, refused, nil
}

// same says whether two tokens are one: what Apple signs in by is the same.
func same(a, b ade.Token) bool {
	return a.ConsumerKey == b.ConsumerKey && a.AccessToken == b.AccessToken
}

// liveToken is the token in use, zero if there is none.
func (r *Reconciler) liveToken(ctx context.Context, s *scope) (ade.Token, error) {
	stored, err := r.get(ctx, s, fileToken)
	if err != nil || stored == nil {
		return ade.Token{}, err
	}
	live, err := ade.ParseToken(stored)
	if err != nil {
		return ade.Token{}, loop.Stall(mdmv1alpha1.AutomatedEnrollmentKeyLost, "the token in the Secret %s cannot be read: restore the Secret from a backup", s.store.Name)
	}
	return live, nil
}

// givenToken opens the token that a person has given, zero if there is none. prefix is that of the pair it is for.
func (r *Reconciler) givenToken(ctx context.Context, s *scope) (token ade.Token, prefix string, err error) {
	ref := s.object.Spec.TokenSecretRef
	if ref == nil {
		return ade.Token{}, "", nil
	}
	found, err := source.Read(ctx, r.Client, s.object.Namespace, content.References{Secrets: []mdmv1alpha1.KeyReference{*ref}})
	if reason, message, missing := loop.Halted(err); missing {
		return ade.Token{}, "", &refusal{reason: reason, message: message, missing: true}
	}
	if err != nil {
		return ade.Token{}, "", err
	}
	var last error
	for _, prefix := range []string{requestPrefix, ""} {
		certificate, key, err := r.pair(ctx, s, prefix)
		if err != nil {
			return ade.Token{}, "", err
		}
		if certificate == nil {
			continue
		}
		token, err := ade.OpenToken(found.Secrets[*ref], certificate, key)
		if err == nil {
			return token, prefix, nil
		}
		if last = err; reasonOf(err) != mdmv1alpha1.AutomatedEnrollmentTokenForAnotherKey {
			break
		}
	}
	return ade.Token{}, "", &refusal{reason: reasonOf(last), message: last.Error()}
}

func reasonOf(err error) string {
	var refused *ade.Refusal
	if errors.As(err, &refused) {
		return refused.Reason
	}
	return mdmv1alpha1.AutomatedEnrollmentTokenUnreadable
}

// accept checks a token, here and at Apple, and puts it with its pair in the place of those in use.
func (r *Reconciler) accept(ctx context.Context, s *scope, live, given ade.Token, prefix string) error {
	if err := r.judge(s, live, given); err != nil {
		return err
	}
	client, _, err := r.dial(ctx, s, given)
	if err != nil {
		return err
	}
	if _, err := client.Account(ctx); err != nil {
		o := outageOf(err, 0)
		switch {
		case o == nil:
			return err
		case o.reason == mdmv1alpha1.AutomatedEnrollmentTokenRevoked:
			return &refusal{reason: o.reason, message: o.message}
		case live.AccessToken != "":
			return &refusal{reason: o.reason, message: "the new token could not be checked: " + o.message}
		}
		// The first token is taken without Apple's word: the next step tells what is wrong with the way to Apple.
	}
	if err := r.use(ctx, s, given, prefix); err != nil {
		return err
	}
	s.account.forget()
	r.Events.Eventf(s.object, nil, corev1.EventTypeNormal, mdmv1alpha1.AutomatedEnrollmentEventTokenAccepted, "Reconcile", "a token is in use that ends at %s", given.Expiry.UTC().Format(time.RFC3339))
	return nil
}

// judge says what is wrong with a token without asking Apple.
func (r *Reconciler) judge(s *scope, live, given ade.Token) error {
	known := live.ConsumerKey
	if known == "" {
		known = s.object.Status.ConsumerKey // the Secret was lost, and which server it was is known still
	}
	switch {
	case !r.Clock.Now().Before(given.Expiry):
		return &refusal{reason: mdmv1alpha1.AutomatedEnrollmentTokenExpired, message: "the token that was given ended at " + given.Expiry.UTC().Format(time.RFC3339) +
			": download a new one in Apple Business Manager"}
	case known != "" && given.ConsumerKey != known && given.ConsumerKey != s.object.Spec.AcceptConsumerKey:
		return &refusal{reason: mdmv1alpha1.AutomatedEnrollmentTokenOfAnotherServer, message: "the token that was given is of another server in Apple Business Manager (consumer key " +
			given.ConsumerKey + ") than the one in use (" + known + "): give the token of the same server, or set spec.acceptConsumerKey to the new key"}
	}
	return nil
}

// use puts the token with the pair it is for into the Secret, in one write.
func (r *Reconciler) use(ctx context.Context, s *scope, token ade.Token, prefix string) error {
	marshalled, err := token.Marshal()
	if err != nil {
		return err
	}
	if err := r.put(ctx, s, fileToken, marshalled); err != nil {
		return err
	}
	if prefix == requestPrefix {
		for _, name := range []string{serverconfig.CertFile, serverconfig.KeyFile, serverconfig.KeyFile + sealedSuffix} {
			delete(s.store.Data, name)
			if content, has := s.store.Data[requestPrefix+name]; has {
				s.store.Data[name] = content
				delete(s.store.Data, requestPrefix+name)
			}
		}
	}
	return s.store.Save(ctx, r.Client)
}

// expiry reminds in time.
func (r *Reconciler) expiry(_ context.Context, s *scope, report *loop.Report) error {
	end := s.object.Status.TokenNotAfter
	left := end.Sub(r.Clock.Now())
	if left <= 0 {
		report.False(mdmv1alpha1.AutomatedEnrollmentTokenExpired, "the token has ended: %s; devices stay enrolled", renewCure)
		return nil
	}
	remind.Ending{
		Condition: mdmv1alpha1.AutomatedEnrollmentTokenNotExpiring, Reason: mdmv1alpha1.AutomatedEnrollmentTokenExpiring, Cure: renewCure,
		First: s.object.Spec.RenewBefore.Duration,
	}.Tell(r.Engine, s.object, left, report)
	return nil
}

// renewCure is how a token is renewed, in one line.
const renewCure = "in Apple Business Manager choose the MDM server, download its token again, and put it into the Secret of spec.tokenSecretRef"
