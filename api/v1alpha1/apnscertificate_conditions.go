package v1alpha1

// Conditions of an APNSCertificate.
const (
	// APNSCertificateValid is True when certificate and key are a pair, the certificate is one for device management (a topic below com.apple.mgmt
	// and client authentication) and today is between its beginning and its end.
	APNSCertificateValid = "Valid"
	// APNSCertificateTopicUnchanged is True when the certificate has the topic that enrolled devices know.
	APNSCertificateTopicUnchanged = "TopicUnchanged"
	// APNSCertificateNotExpiring is True while the certificate has more than 60 days left.
	APNSCertificateNotExpiring = "NotExpiring"
	// APNSCertificatePushAccepted is True when Apple accepted the last push of every server that uses the certificate.
	APNSCertificatePushAccepted = "PushAccepted"
)

// Reasons in the conditions of an APNSCertificate.
const (
	// APNSCertificateMalformed: tls.crt or tls.key is no PEM of a certificate or key. Put the certificate that Apple returned and the key of its request into the Secret.
	APNSCertificateMalformed = "Malformed"
	// APNSCertificateKeyMismatch: the key is not the certificate's. Put the key into the Secret with which the request for this certificate was made.
	APNSCertificateKeyMismatch = "KeyMismatch"
	// APNSCertificateWrongType: it is no push certificate for device management (often the vendor's certificate, or one for apps). Use the one from identity.apple.com.
	APNSCertificateWrongType = "WrongType"
	// APNSCertificateNotYetValid: its time has not begun. Check the clock of the cluster.
	APNSCertificateNotYetValid = "NotYetValid"
	// APNSCertificateExpired: no device is woken any more. Renew it at identity.apple.com with the same Apple Account; devices stay enrolled.
	APNSCertificateExpired = "Expired"
	// APNSCertificateExpiring: less than 60 days are left. Renew it at identity.apple.com with the same Apple Account, by Renew and not by Create.
	APNSCertificateExpiring = "Expiring"
	// APNSCertificateTopicChanged: the certificate has another topic, and enrolled devices would never be woken again. Renew the old certificate
	// instead; if it is lost for good, set spec.acceptTopic and enrol every device again.
	APNSCertificateTopicChanged = "TopicChanged"
	// APNSCertificateNotUsed: no server uses the certificate. Name it in spec.apple.apnsCertificateRef of an MDMServer.
	APNSCertificateNotUsed = "NotUsed"
	// APNSCertificateNoPushYet: no push was sent with it yet. Enrol a device.
	APNSCertificateNoPushYet = "NoPushYet"
	// APNSCertificatePushRefused: Apple refuses the certificate or topic, pushing pauses and no device is changed. The message repeats Apple's reason;
	// a certificate that was revoked or replaced at identity.apple.com gives it.
	APNSCertificatePushRefused = "PushRefused"
	// APNSCertificateAccepted: Apple takes pushes. Nothing to do.
	APNSCertificateAccepted = "Accepted"
)

// KnownConditions implements Object.
func (*APNSCertificate) KnownConditions() []string {
	return []string{
		ConditionReady, APNSCertificateValid, APNSCertificateTopicUnchanged, APNSCertificateNotExpiring, APNSCertificatePushAccepted,
	}
}
