package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WindowsServer serves Windows devices. They trust nothing but their own roots: spec.tls needs a public certificate for more than simulated PCs.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.managementHost) || has(self.managementHost)",message="managementHost cannot be taken away: enrolled PCs would not find the server"
// +kubebuilder:validation:XValidation:rule="self.authentication.require != 'Certificate' || has(self.managementHost) || has(self.authentication.trustedProxies)",message="authentication.require Certificate needs managementHost, where the server asks for certificates, or authentication.trustedProxies"
type WindowsServer struct {
	// managementHost is the public DNS name of management sessions, with ":port" only if the port is not 443. There the server asks for the
	// PC's certificate in the TLS handshake (mutual TLS), so whatever stands in front of it must pass TLS through. It must be another name than
	// host. PCs remember it, so it can be added but never changed; those that enrolled before it was added keep coming to host. Absent: sessions are at
	// host, and no certificate is asked for.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=259
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*(:[1-9][0-9]{0,4})?$`
	// +kubebuilder:validation:XValidation:rule="!self.contains(':') || int(self.split(':')[1]) <= 65535",message="a port is at most 65535"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="managementHost is immutable: enrolled PCs would not find the server"
	ManagementHost string `json:"managementHost,omitempty"`

	// identity configures the certificates by which the server knows its PCs.
	// +optional
	// +kubebuilder:default={validity: "8760h", renewBefore: "1008h", caValidity: "87600h"}
	Identity WindowsIdentity `json:"identity,omitzero"`

	// authentication says what a PC must prove in a management session.
	// +optional
	// +kubebuilder:default={require: Digest}
	Authentication WindowsAuthentication `json:"authentication,omitzero"`

	// signIn lets people enrol from Settings > Access work or school with their account at an OpenID Connect issuer; absent: with the token of an
	// EnrollmentToken as the password. Agents enrol with a token either way.
	// +optional
	SignIn *WindowsSignIn `json:"signIn,omitempty"`

	// pollEvery is how often a PC comes by itself when nobody wakes it, once its first hour is over.
	// +optional
	// +kubebuilder:default="8h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="pollEvery must be at least 1m"
	PollEvery metav1.Duration `json:"pollEvery,omitzero"`

	// verifyEvery is how often the settings of a PC are read again, and written again where they were lost.
	// +optional
	// +kubebuilder:default="8h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(s|m|h))+$`
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m')",message="verifyEvery must be at least 1m"
	VerifyEvery metav1.Duration `json:"verifyEvery,omitzero"`
}

// WindowsProof is the weakest proof of who it is that the server takes from a PC.
//
// +kubebuilder:validation:Enum=Digest;Certificate;Signature
type WindowsProof string

// The proofs, weakest first. A PC that could prove more does.
const (
	// WindowsProofDigest is a digest of a secret of the enrolment, or any stronger proof.
	WindowsProofDigest WindowsProof = "Digest"
	// WindowsProofCertificate is the PC's certificate, in the TLS handshake or from a trusted proxy, or a signature.
	WindowsProofCertificate WindowsProof = "Certificate"
	// WindowsProofSignature is a signature over every message.
	WindowsProofSignature WindowsProof = "Signature"
)

// WindowsAuthentication says what a PC must prove in a management session.
type WindowsAuthentication struct {
	// require is the weakest proof that is taken. Certificate and Signature shut out sessions that cannot reach the PC's private key, such as
	// those for a certificate that Windows put into a user's store.
	// +optional
	// +kubebuilder:default=Digest
	Require WindowsProof `json:"require,omitempty"`

	// trustedProxies are the networks of proxies that end TLS, verify the PC's certificate and forward it in the header Client-Cert (RFC 9440),
	// in CIDR notation. The header is believed from there and from nowhere else.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="each must be a network in CIDR notation, such as 10.0.0.0/8"
	TrustedProxies []string `json:"trustedProxies,omitempty"`
}

// WindowsSignIn is the OpenID Connect issuer at which people sign in to enrol. The redirect URI is https://<host>/api/mdm/microsoft/signin/callback.
type WindowsSignIn struct {
	SignIn `json:",inline"`

	// enrollmentTokenRef is the EnrollmentToken whose labels, limits and end count for those who sign in. They never see the token.
	// +required
	EnrollmentTokenRef LocalReference `json:"enrollmentTokenRef,omitzero"`
}
