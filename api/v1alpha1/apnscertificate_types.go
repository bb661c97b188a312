package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// APNSCertificate is the certificate with which a server wakes Apple devices. Apple issues it for a year at
// https://identity.apple.com/pushcert and writes a topic into it that devices remember for as long as they are enrolled: renew the same
// certificate with the same Apple Account every year, and never create another one in its place.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=mdm,shortName=apns
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="TOPIC",type=string,JSONPath=`.status.topic`
// +kubebuilder:printcolumn:name="EXPIRES",type=string,JSONPath=`.status.notAfter`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type APNSCertificate struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is where the certificate is.
	// +required
	Spec APNSCertificateSpec `json:"spec,omitzero"`

	// status is what the certificate says and what Apple says of it.
	// +optional
	Status APNSCertificateStatus `json:"status,omitzero"`
}

// APNSCertificateSpec is where a push certificate is.
type APNSCertificateSpec struct {
	// secretRef is a Secret of type kubernetes.io/tls: tls.crt is the certificate (PEM) that Apple returned, tls.key its private key. A new
	// content is checked and then used at once, without a restart.
	// +required
	SecretRef LocalReference `json:"secretRef,omitzero"`

	// acceptTopic allows the topic to change to exactly this one. Every enrolled Apple device must then enrol again, which is why a certificate
	// with another topic is refused without it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.startsWith('com.apple.mgmt.')",message="a topic for device management starts with com.apple.mgmt."
	AcceptTopic string `json:"acceptTopic,omitempty"`
}

// APNSCertificateStatus is what a push certificate says and what Apple says of it.
type APNSCertificateStatus struct {
	CommonStatus `json:",inline"`

	// topic of the certificate in use (its UID). Once seen it stays: a certificate with another one is refused, see spec.acceptTopic.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Topic string `json:"topic,omitempty"`

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
}

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
