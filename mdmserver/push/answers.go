package push

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// Reasons of a Problem.
const (
	// ReasonNoCertificate: no push certificate is mounted.
	ReasonNoCertificate = "NoCertificate"
	// ReasonCertificateExpired: the push certificate must be renewed.
	ReasonCertificateExpired = "CertificateExpired"
	// ReasonCertificateRefused: Apple refuses the certificate.
	ReasonCertificateRefused = "CertificateRefused"
	// ReasonTopicRefused: Apple refuses the topic.
	ReasonTopicRefused = "TopicRefused"
	// ReasonServerUntrusted: the push service's own certificate cannot be verified.
	ReasonServerUntrusted = "ServerUntrusted"
	// ReasonKeyUnavailable: the KMS that has the key of the push certificate does not sign. Pushing goes on by itself when it does.
	ReasonKeyUnavailable = "KeyUnavailable"
	// ReasonTopicMismatch: some devices enrolled with another topic than the certificate's. The others are pushed to.
	ReasonTopicMismatch = "TopicMismatch"
)

// topicReasons are Apple's reasons that concern the certificate's topic and not one token. DeviceTokenNotForTopic is not one of them: a
// single device that reports a wrong token must not stop the pushes to all others.
var topicReasons = map[string]bool{"BadTopic": true, "MissingTopic": true, "TopicDisallowed": true}

// answerOf is the table of Apple's answers ("Handling notification responses from APNs", Apple Developer Documentation).
func answerOf(status int, r reason) Answer {
	switch {
	case status == http.StatusOK:
		return Answer{Outcome: fleet.WakeAccepted}
	case status == http.StatusGone && r.Reason == "Unregistered" && r.Timestamp > 0:
		return Answer{Outcome: fleet.WakeUnregistered, Timestamp: time.UnixMilli(r.Timestamp)}
	case status == http.StatusForbidden:
		return Answer{Outcome: fleet.WakeRetry, Problem: &Problem{Reason: ReasonCertificateRefused, Pauses: true,
			Message: fmt.Sprintf("Apple refuses the push certificate (403 %s): check at identity.apple.com that it is not revoked, and renew it with the same Apple ID", r.Reason)}}
	case topicReasons[r.Reason]:
		return Answer{Outcome: fleet.WakeRetry, Problem: &Problem{Reason: ReasonTopicRefused, Pauses: true,
			Message: fmt.Sprintf("Apple refuses the topic of the push certificate (%d %s): use the MDM push certificate from identity.apple.com", status, r.Reason)}}
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		return Answer{Outcome: fleet.WakeRetry}
	}
	return Answer{Outcome: fleet.WakeRejected}
}

// keyProblem says that the key of the push certificate made no signature; err says why and what to do.
func keyProblem(err error) *Problem {
	return &Problem{Reason: ReasonKeyUnavailable, Pauses: true,
		Message: fmt.Sprintf("the key of the push certificate makes no signature, so Apple cannot be reached (%v). Nothing is lost: pushing goes on by itself when it does", err)}
}

// problemOf tells a refusal of certificates from a network that is down, for which it returns nil.
func problemOf(err error) *Problem {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return &Problem{Reason: ReasonServerUntrusted, Pauses: true,
			Message: fmt.Sprintf("the push service's certificate is not trusted (%v): check the configured URL, its CA, and proxies in between", untrusted.Err)}
	}
	// crypto/tls reports an alert of the other side as this operation.
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return &Problem{Reason: ReasonCertificateRefused, Pauses: true,
			Message: fmt.Sprintf("the push service refuses the TLS connection (%v): the push certificate is expired, revoked or not of this service; renew it at identity.apple.com with the same Apple ID", op.Err)}
	}
	return nil
}
