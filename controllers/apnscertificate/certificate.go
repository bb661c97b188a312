package apnscertificate

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// topicPrefix begins the topic of every push certificate for device management.
const topicPrefix = "com.apple.mgmt."

const day = 24 * time.Hour

// thresholds are the times before the end at which people are reminded.
var thresholds = []time.Duration{60 * day, 30 * day, 14 * day, 7 * day, day}

// input is what a check looks at.
type input struct {
	leaf *x509.Certificate
	now  time.Time
}

// check is one reason why a certificate cannot be used for pushes.
type check func(in input) (reason, message string, failed bool)

// checks are the gate, in order.
var checks = []check{isForDeviceManagement, allowsClientAuthentication, hasBegun, hasNotEnded}

func isForDeviceManagement(in input) (string, string, bool) {
	topic := certs.Topic(in.leaf)
	return mdmv1alpha1.APNSCertificateWrongType, fmt.Sprintf("its topic is %q and should begin with %s: use the certificate that identity.apple.com returned for an MDM vendor's request",
		topic, topicPrefix), !strings.HasPrefix(topic, topicPrefix)
}

func allowsClientAuthentication(in input) (string, string, bool) {
	return mdmv1alpha1.APNSCertificateWrongType, "it is not for client authentication: use the certificate that identity.apple.com returned",
		!slices.Contains(in.leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
}

func hasBegun(in input) (string, string, bool) {
	return mdmv1alpha1.APNSCertificateNotYetValid, "it is valid from " + in.leaf.NotBefore.UTC().Format(time.RFC3339) + " only; check the clock of the cluster",
		in.now.Before(in.leaf.NotBefore)
}

func hasNotEnded(in input) (string, string, bool) {
	return mdmv1alpha1.APNSCertificateExpired, "it expired at " + in.leaf.NotAfter.UTC().Format(time.RFC3339) +
		": renew it at identity.apple.com with the same Apple Account; devices stay enrolled", in.now.After(in.leaf.NotAfter)
}

// valid reads the pair and puts it through the gate.
func (r *Reconciler) valid(ctx context.Context, s *scope, report *loop.Report) error {
	report.Again(recheck)
	name := s.object.Spec.SecretRef.Name
	secret, err := owned.GetSecret(ctx, r.Client, s.object.Namespace, name)
	if err != nil {
		return err
	}
	if secret == nil {
		return loop.Stall(mdmv1alpha1.ReasonSecretNotFound, "create the Secret %s with the certificate in %s and its key in %s", name, serverconfig.CertFile, serverconfig.KeyFile)
	}
	pair, err := certs.ReadPair(secret.Data[serverconfig.CertFile], secret.Data[serverconfig.KeyFile])
	if errors.Is(err, certs.ErrMismatch) {
		return loop.Stall(mdmv1alpha1.APNSCertificateKeyMismatch, "%s in the Secret %s is not the key of the certificate: put the one there with which its request was made", serverconfig.KeyFile, name)
	}
	if err != nil {
		return loop.Stall(mdmv1alpha1.APNSCertificateMalformed, "the Secret %s: %v", name, err)
	}
	for _, check := range checks {
		if reason, message, failed := check(input{leaf: pair.Leaf, now: r.Clock.Now()}); failed {
			return loop.Stall(reason, "the certificate in the Secret %s cannot be used: %s", name, message)
		}
	}
	s.leaf = pair.Leaf
	return nil
}

// topic refuses another topic than the one that enrolled devices know, and takes the certificate's facts into the status.
func (r *Reconciler) topic(_ context.Context, s *scope, report *loop.Report) error {
	status := &s.object.Status
	topic := certs.Topic(s.leaf)
	if status.Topic != "" && status.Topic != topic && s.object.Spec.AcceptTopic != topic {
		return loop.Stall(mdmv1alpha1.APNSCertificateTopicChanged,
			"enrolled devices know the topic %s, the certificate in the Secret has %s: renew the old certificate by Renew at identity.apple.com; if it is lost for good, set spec.acceptTopic and enrol every device again",
			status.Topic, topic)
	}
	begin, end := metav1.NewTime(s.leaf.NotBefore), metav1.NewTime(s.leaf.NotAfter)
	status.Topic, status.NotBefore, status.NotAfter = topic, &begin, &end
	status.Fingerprint, status.SerialNumber, status.Issuer = certs.Fingerprint(s.leaf), s.leaf.SerialNumber.Text(16), s.leaf.Issuer.CommonName
	report.True(mdmv1alpha1.ReasonReady, "the topic is %s", topic)
	return nil
}

// expiry reminds in time. The message changes at each threshold, and each change is an event.
func (r *Reconciler) expiry(_ context.Context, s *scope, report *loop.Report) error {
	left := s.leaf.NotAfter.Sub(r.Clock.Now())
	passed, next := reminder(left)
	report.Again(left - next)
	if passed == 0 {
		return nil
	}
	message := fmt.Sprintf("less than %d days are left: renew it at identity.apple.com with the same Apple Account, by Renew and not by Create", passed/day)
	was := meta.FindStatusCondition(s.object.Status.Conditions, mdmv1alpha1.APNSCertificateNotExpiring)
	if was != nil && was.Reason == mdmv1alpha1.APNSCertificateExpiring && was.Message != message {
		r.Events.Eventf(s.object, nil, corev1.EventTypeWarning, was.Reason, "Reconcile", "%s", message)
	}
	report.False(mdmv1alpha1.APNSCertificateExpiring, "%s", message)
	return nil
}

// reminder returns the threshold that was passed last (0: none) and the one to come (0: the end).
func reminder(left time.Duration) (passed, next time.Duration) {
	for _, t := range thresholds {
		if left > t {
			return passed, t
		}
		passed = t
	}
	return passed, 0
}
