package v1alpha1

// Conditions of an APNSCertificate, in the order in which a certificate comes about.
const (
	// APNSCertificateKeyReady is True when the private keys are there that are in use or that a request waits with.
	APNSCertificateKeyReady = "KeyReady"
	// APNSCertificateCSRReady is True when a request waits for its certificate in status.certificateSigningRequest, or when none is needed.
	APNSCertificateCSRReady = "CSRReady"
	// APNSCertificateVendorSigned is True when an MDM vendor has signed the request that waits and status.pushCertificateRequest can be uploaded, or
	// when there is no such request.
	APNSCertificateVendorSigned = "VendorSigned"
	// APNSCertificateUploaded is Unknown while a request waits: nobody but Apple and the person who uploads it knows. It is True when Apple has
	// answered the newest request.
	APNSCertificateUploaded = "Uploaded"
	// APNSCertificateIssued is True when the newest certificate that was given has passed every check and is in use: it belongs to one of the keys, Apple
	// issued it for device management (a topic below com.apple.mgmt and client authentication), it is in time, and ends later than the one before.
	APNSCertificateIssued = "Issued"
	// APNSCertificateTopicUnchanged is True when the newest certificate has the topic that enrolled devices know.
	APNSCertificateTopicUnchanged = "TopicUnchanged"
	// APNSCertificateNotExpiring is True while the certificate in use has more time left than spec.renewBefore.
	APNSCertificateNotExpiring = "NotExpiring"
	// APNSCertificatePushAccepted is True when Apple accepted the last push of every server that uses the certificate.
	APNSCertificatePushAccepted = "PushAccepted"
)

// Events of an APNSCertificate that are about no condition.
const (
	// APNSCertificateEventIssued: a certificate was taken into use. The note says when it ends; servers take it up without a restart.
	APNSCertificateEventIssued = "Issued"
)

// Reasons in the conditions of an APNSCertificate.
const (
	// APNSCertificateKeyLost: the Secret with the keys is gone or lacks one. Restore it from a backup. The key of a request that waits can be given
	// up with the annotation mdm.kubemdm.io/renew: any new value starts another request.
	APNSCertificateKeyLost = "KeyLost"
	// APNSCertificateSecretTaken: the Secret <name>-apns exists and belongs to something else. Delete it, or choose another name for the APNSCertificate.
	APNSCertificateSecretTaken = "SecretTaken"
	// APNSCertificateKeyUnavailable: the KMS does not answer. It is tried again every minute; the message says what it said.
	APNSCertificateKeyUnavailable = "KeyUnavailable"
	// APNSCertificateKeyRefused: the KMS has no such key, refuses the operator or the use of the key, or the key is no RSA key of 2048 bits or more. The
	// message says which; correct the URI, the PIN or the rights.
	APNSCertificateKeyRefused = "KeyRefused"
	// APNSCertificateKeyUnsupported: the running image is built without PKCS#11. See the guide on keys in a KMS.
	APNSCertificateKeyUnsupported = "KeyUnsupported"
	// APNSCertificateNotNeeded: no request waits. Nothing to do.
	APNSCertificateNotNeeded = "NotNeeded"
	// APNSCertificateNotRequested: somebody else looks after the pair in spec.secretRef. Set spec.vendor to have the operator renew it.
	APNSCertificateNotRequested = "NotRequested"
	// APNSCertificateAwaitingVendor: a person carries status.certificateSigningRequest to an MDM vendor, and what it signed into spec.vendor.manual.
	APNSCertificateAwaitingVendor = "AwaitingVendor"
	// APNSCertificateAwaitingMail: mdmcert.download has the request and mails its reply. Put the attachment into the Secret of spec.vendor.mdmcert.replySecretRef.
	APNSCertificateAwaitingMail = "AwaitingMail"
	// APNSCertificateServiceFailed: mdmcert.download refuses the request or does not answer. It is tried again with growing pauses; the message says why.
	APNSCertificateServiceFailed = "ServiceFailed"
	// APNSCertificateReplyMalformed: the reply of mdmcert.download is not whole or was changed. Put the attachment there as it came.
	APNSCertificateReplyMalformed = "ReplyMalformed"
	// APNSCertificateReplyForAnotherKey: the reply answers an earlier request. Use the newest mail, or have the request sent again.
	APNSCertificateReplyForAnotherKey = "ReplyForAnotherKey"
	// APNSCertificateRequestMalformed: what should be a signed request is none. Ask the vendor for the push certificate request.
	APNSCertificateRequestMalformed = "RequestMalformed"
	// APNSCertificateRequestForAnotherKey: the signed request is not for the request that waits. Have status.certificateSigningRequest signed.
	APNSCertificateRequestForAnotherKey = "RequestForAnotherKey"
	// APNSCertificateRequestSignatureInvalid: the vendor's signature is not over this request. Apple would refuse it; ask the vendor for another one.
	APNSCertificateRequestSignatureInvalid = "RequestSignatureInvalid"
	// APNSCertificateVendorKeyMismatch: the vendor's key belongs to none of its certificates. Put the key there with which the certificate was requested.
	APNSCertificateVendorKeyMismatch = "VendorKeyMismatch"
	// APNSCertificateVendorCertificateExpired: the vendor's certificate has ended. Get a new one at developer.apple.com; certificates it helped to get stay good.
	APNSCertificateVendorCertificateExpired = "VendorCertificateExpired"
	// APNSCertificateVendorCertificateNotYetValid: its time has not begun. Check the clock of the cluster.
	APNSCertificateVendorCertificateNotYetValid = "VendorCertificateNotYetValid"
	// APNSCertificateVendorCertificateWrongType: it is no MDM vendor certificate. Request one of the type "MDM CSR" at developer.apple.com.
	APNSCertificateVendorCertificateWrongType = "VendorCertificateWrongType"
	// APNSCertificateVendorChainUnknown: the intermediate or root certificate of the vendor's is missing. Add it to ca.crt; the message says which.
	APNSCertificateVendorChainUnknown = "VendorChainUnknown"
	// APNSCertificateVendorChainExpired: the intermediate certificate has ended. Get the current one from https://www.apple.com/certificateauthority/.
	APNSCertificateVendorChainExpired = "VendorChainExpired"
	// APNSCertificateAwaitingUpload: somebody uploads status.pushCertificateRequest at identity.apple.com, which nobody else can see.
	APNSCertificateAwaitingUpload = "AwaitingUpload"
	// APNSCertificateAwaitingCertificate: Apple's certificate is awaited in spec.certificate. status.nextStep says what comes first.
	APNSCertificateAwaitingCertificate = "AwaitingCertificate"
	// APNSCertificateMalformed: there is no certificate in what was given. Give the PEM file that Apple returned; the message says what was found instead.
	APNSCertificateMalformed = "Malformed"
	// APNSCertificateKeyMismatch: the certificate belongs to none of the keys. Give the one that answers the request that waits, or the key with it.
	APNSCertificateKeyMismatch = "KeyMismatch"
	// APNSCertificateWrongType: it is no push certificate for device management (often the vendor's certificate, or one for apps). Use the one from identity.apple.com.
	APNSCertificateWrongType = "WrongType"
	// APNSCertificateIssuerUnknown: not Apple issued it. Use the one from identity.apple.com.
	APNSCertificateIssuerUnknown = "IssuerUnknown"
	// APNSCertificateNotYetValid: its time has not begun. Check the clock of the cluster.
	APNSCertificateNotYetValid = "NotYetValid"
	// APNSCertificateExpired: no device is woken any more. Renew it at identity.apple.com with the same Apple Account; devices stay enrolled.
	APNSCertificateExpired = "Expired"
	// APNSCertificateNotLater: it does not end later than the one in use. Give the one that Apple returned last.
	APNSCertificateNotLater = "NotLater"
	// APNSCertificateExpiring: less than spec.renewBefore is left. status.nextStep leads through the renewal.
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
	// APNSCertificateRestored: the Secret with the pair in use was gone and is made again from the copy that a server holds. Find out who deleted it.
	APNSCertificateRestored = "Restored"
)

// KnownConditions implements Object.
func (*APNSCertificate) KnownConditions() []string {
	return []string{
		ConditionReady, APNSCertificateKeyReady, APNSCertificateCSRReady, APNSCertificateVendorSigned, APNSCertificateUploaded, APNSCertificateIssued,
		APNSCertificateTopicUnchanged, APNSCertificateNotExpiring, APNSCertificatePushAccepted,
	}
}
