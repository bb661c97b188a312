package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// APNSCertificate is the certificate with which servers wake Apple devices, from its first request to every yearly renewal.
//
// The operator makes the key and the request, has an MDM vendor sign it, and says in status.nextStep what a person has to do next: Apple takes
// requests only at https://identity.apple.com/pushcert, from somebody who is signed in. What Apple returns goes into spec.certificate.
// Apple writes a topic into the certificate that devices remember for as long as they are enrolled: renew the same certificate with the same
// Apple Account every year, and never create another one in its place.
//
// Deleting an APNSCertificate leaves the Secret with the key and the certificate, which nothing can replace.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=mdm,shortName=apns
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="TOPIC",type=string,JSONPath=`.status.topic`
// +kubebuilder:printcolumn:name="EXPIRES",type=string,JSONPath=`.status.notAfter`
// +kubebuilder:printcolumn:name="NEXT STEP",type=string,JSONPath=`.status.nextStep`,priority=1
// +kubebuilder:printcolumn:name="MESSAGE",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 200",message="the name may have at most 200 characters, since the name of its Secret is built from it"
type APNSCertificate struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is how the certificate is requested, and what Apple returned. Absent: a request is made that an MDM vendor of your choice signs.
	// +optional
	// +kubebuilder:default={}
	Spec APNSCertificateSpec `json:"spec,omitzero"`

	// status is how far the certificate has come, and what comes next.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status APNSCertificateStatus `json:"status,omitzero"`
}

// APNSCertificateSpec is how a push certificate is requested, and what Apple returned.
//
// +kubebuilder:validation:XValidation:rule="!has(self.certificate) || !has(self.certificateSecretRef)",message="give the certificate once: certificate or certificateSecretRef"
type APNSCertificateSpec struct {
	// subject of the certificate request. Apple writes a subject of its own into the certificate; this one helps people to tell requests apart.
	// +optional
	Subject *PushSubject `json:"subject,omitempty"`

	// keyStorage is where private keys are made and kept. A key that is in use stays where it is; a change counts for the next request.
	// +optional
	// +kubebuilder:default={type: Secret}
	KeyStorage KeyStorage `json:"keyStorage,omitzero"`

	// vendor signs requests: Apple takes none that an MDM vendor has not signed. Absent with a secretRef: no request is made, somebody else looks
	// after the pair; absent without one: {type: Manual}.
	// +optional
	Vendor *PushVendor `json:"vendor,omitempty"`

	// certificate is what Apple returned: the PEM file MDM_..._Certificate.pem. It is checked before it is used; the one in use stays until a
	// better one is accepted.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Certificate string `json:"certificate,omitempty"`

	// certificateSecretRef is a key of a Secret that holds what Apple returned, in place of certificate.
	// +optional
	CertificateSecretRef *KeyReference `json:"certificateSecretRef,omitempty"`

	// secretRef is a Secret of type kubernetes.io/tls with a pair that you have already: tls.crt is the certificate (PEM) that Apple returned,
	// tls.key its private key. It is copied; with a vendor the operator renews it from then on.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`

	// acceptTopic allows the topic to change to exactly this one. Every enrolled Apple device must then enrol again, which is why a certificate
	// with another topic is refused without it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.startsWith('com.apple.mgmt.')",message="a topic for device management starts with com.apple.mgmt."
	AcceptTopic string `json:"acceptTopic,omitempty"`

	// renewBefore is how long before its end the renewal of a certificate starts with a new request.
	// +optional
	// +kubebuilder:default="1440h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('24h') && duration(self) <= duration('8000h')",message="renewBefore must be between 24h and 8000h"
	RenewBefore metav1.Duration `json:"renewBefore,omitzero"`

	// appleAccount is the Apple Account that requests the certificate at identity.apple.com. Only the same account can renew it, and not knowing
	// which one it was is the most common way to lose a certificate: write it down here. It is no secret.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	AppleAccount string `json:"appleAccount,omitempty"`
}

// PushSubject is the subject of a certificate request.
type PushSubject struct {
	// commonName of the request, by default "KubeMDM push".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	CommonName string `json:"commonName,omitempty"`

	// organization that the devices belong to.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Organization string `json:"organization,omitempty"`

	// email of whoever looks after the certificate.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[!-~]+@[!-~]+$`
	Email string `json:"email,omitempty"`

	// country as two letters (ISO 3166).
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=2
	// +kubebuilder:validation:Pattern=`^[A-Z]{2}$`
	Country string `json:"country,omitempty"`
}

// APNSCertificateStatus is how far a push certificate has come, and what comes next.
type APNSCertificateStatus struct {
	CommonStatus `json:",inline"`

	// nextStep says in one sentence what a person does now, and where. Empty: nothing.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	NextStep string `json:"nextStep,omitempty"`

	// certificateSigningRequest is the request that waits for its certificate (PEM): what an MDM vendor signs.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16384
	CertificateSigningRequest string `json:"certificateSigningRequest,omitempty"`

	// pushCertificateRequest is the file to upload at https://identity.apple.com/pushcert: the request with the vendor's signature, in base64.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	PushCertificateRequest string `json:"pushCertificateRequest,omitempty"`

	// secretRef is the Secret with the pair in use and the key of the request that waits. Back it up: nothing can replace it.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`

	// topic of the certificate in use (its UID). Once seen it stays: a certificate with another one is refused, see spec.acceptTopic.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Topic string `json:"topic,omitempty"`

	// appleAccount is the Apple Account that was named when the certificate in use was accepted. It alone can renew it.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	AppleAccount string `json:"appleAccount,omitempty"`

	// notBefore is the beginning of the certificate in use.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`

	// notAfter is the end of the certificate in use. Renew it before: from then on no device is woken.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`

	// fingerprint is the lower-case hex SHA-256 of the certificate in use.
	// +optional
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`

	// serialNumber of the certificate in use, in hex.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	SerialNumber string `json:"serialNumber,omitempty"`

	// issuer is the common name of the CA that issued the certificate in use.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Issuer string `json:"issuer,omitempty"`

	// requestedAt is when the request that waits was made.
	// +optional
	RequestedAt *metav1.Time `json:"requestedAt,omitempty"`

	// lastHandledRenew echoes the annotation mdm.kubemdm.io/renew once the new request is made.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	LastHandledRenew string `json:"lastHandledRenew,omitempty"`

	// mdmcert is how far mdmcert.download has come with the request that waits.
	// +optional
	MDMCert *MDMCertStatus `json:"mdmcert,omitempty"`
}

// MDMCertStatus is how far mdmcert.download has come with a request.
type MDMCertStatus struct {
	// sentAt is when the service took the request. It mails its reply.
	// +optional
	SentAt *metav1.Time `json:"sentAt,omitempty"`

	// attemptedAt is when the request was sent last, with or without success.
	// +optional
	AttemptedAt *metav1.Time `json:"attemptedAt,omitempty"`

	// failure is why the service did not take the request. Empty: it took it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Failure string `json:"failure,omitempty"`

	// email is the address that the reply goes to.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	Email string `json:"email,omitempty"`

	// lastHandledResend echoes the annotation mdm.kubemdm.io/resend-request once the request was sent again.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	LastHandledResend string `json:"lastHandledResend,omitempty"`
}

// Requests says whether the operator requests the certificate, or only looks after a pair that somebody else renews.
func (c *APNSCertificate) Requests() bool { return c.Spec.Vendor != nil || c.Spec.SecretRef == nil }

// KeySecretName names the Secret with the pair in use and the key of the request that waits.
func (c *APNSCertificate) KeySecretName() string { return c.Name + "-apns" }

// GetCommonStatus implements Object.
func (c *APNSCertificate) GetCommonStatus() *CommonStatus { return &c.Status.CommonStatus }

// APNSCertificateList is a list of APNSCertificates.
//
// +kubebuilder:object:root=true
type APNSCertificateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []APNSCertificate `json:"items"`
}
