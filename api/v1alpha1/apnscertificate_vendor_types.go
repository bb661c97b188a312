package v1alpha1

// PushVendorType selects a member of PushVendor.
//
// +kubebuilder:validation:Enum=Manual;Secret;MDMCert
type PushVendorType string

// Who signs requests.
const (
	// PushVendorManual: a person carries the request to an MDM vendor and brings the signed one back.
	PushVendorManual PushVendorType = "Manual"
	// PushVendorSecret: you are an MDM vendor yourself, and the operator signs with your certificate from Apple.
	PushVendorSecret PushVendorType = "Secret"
	// PushVendorMDMCert: the free service mdmcert.download signs, and mails the result.
	PushVendorMDMCert PushVendorType = "MDMCert"
)

// PushVendor is the MDM vendor that signs requests.
//
// +kubebuilder:validation:XValidation:rule="!has(self.manual) || self.type == 'Manual'",message="manual is allowed with type Manual only"
// +kubebuilder:validation:XValidation:rule="has(self.secret) == (self.type == 'Secret')",message="secret is required with type Secret and not allowed with another type"
// +kubebuilder:validation:XValidation:rule="has(self.mdmcert) == (self.type == 'MDMCert')",message="mdmcert is required with type MDMCert and not allowed with another type"
type PushVendor struct {
	// type says who signs.
	// +unionDiscriminator
	// +optional
	// +kubebuilder:default=Manual
	Type PushVendorType `json:"type,omitempty"`

	// manual takes the signed request from a person.
	// +optional
	Manual *ManualVendor `json:"manual,omitempty"`

	// secret is a Secret with your own MDM vendor certificate: tls.crt is the certificate that Apple issued, tls.key its
	// key (or key.uri the URI of a key in a KMS, with its PIN, if it has one, in key.pin), ca.crt the intermediate (WWDR) and Apple's root certificate from https://www.apple.com/certificateauthority/.
	// +optional
	Secret *LocalReference `json:"secret,omitempty"`

	// mdmcert asks mdmcert.download.
	// +optional
	MDMCert *MDMCertVendor `json:"mdmcert,omitempty"`
}

// ManualVendor takes the signed request from a person.
//
// +kubebuilder:validation:XValidation:rule="!has(self.signedRequest) || !has(self.signedRequestSecretRef)",message="give the signed request once: signedRequest or signedRequestSecretRef"
type ManualVendor struct {
	// signedRequest is what the vendor returned: a property list, or that in base64. It is checked and then shown in
	// status.pushCertificateRequest. A vendor that uploads it itself returns the certificate right away: leave this out then.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	SignedRequest string `json:"signedRequest,omitempty"`

	// signedRequestSecretRef is a key of a Secret that holds it.
	// +optional
	SignedRequestSecretRef *KeyReference `json:"signedRequestSecretRef,omitempty"`
}

// MDMCertVendor asks mdmcert.download, a free service for non-commercial vendors. It mails the signed request, encrypted, to an address
// that was registered there before.
type MDMCertVendor struct {
	// email is the address that is registered at https://mdmcert.download/registration.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[!-~]+@[!-~]+$`
	Email string `json:"email,omitempty"`

	// replySecretRef is the key of a Secret that holds the attachment of its mail (mdm_signed_request....plist.b64.p7). Create it once the mail is there.
	// +optional
	ReplySecretRef *KeyReference `json:"replySecretRef,omitempty"`

	// apiKeySecretRef is the key of a Secret with your API key, which the service gives for free: it counts by it who asks. The keys in the sources
	// of other products are theirs.
	// +required
	APIKeySecretRef KeyReference `json:"apiKeySecretRef,omitzero"`

	// url of the service.
	// +optional
	// +kubebuilder:default="https://mdmcert.download/api/v1/signrequest"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="url must be an https address"
	URL string `json:"url,omitempty"`

	// caConfigMapRef is the key of a ConfigMap with PEM certificates that are trusted for url in place of the public CAs.
	// +optional
	CAConfigMapRef *KeyReference `json:"caConfigMapRef,omitempty"`
}

// KeyStorageType selects a member of KeyStorage.
//
// +kubebuilder:validation:Enum=Secret;KMS
type KeyStorageType string

// Where private keys are.
const (
	// KeyStorageSecret makes a new RSA key for each request and keeps it in a Secret.
	KeyStorageSecret KeyStorageType = "Secret"
	// KeyStorageKMS uses a key that never leaves its KMS or HSM.
	KeyStorageKMS KeyStorageType = "KMS"
)

// KeyStorage is where private keys are made and kept.
//
// +kubebuilder:validation:XValidation:rule="has(self.kms) == (self.type == 'KMS')",message="kms is required with type KMS and not allowed with another type"
type KeyStorage struct {
	// type says where.
	// +unionDiscriminator
	// +optional
	// +kubebuilder:default=Secret
	Type KeyStorageType `json:"type,omitempty"`

	// kms names the key.
	// +optional
	KMS *KMSKey `json:"kms,omitempty"`
}

// KMSKey names an RSA key in a KMS or HSM. Requests and the connections to Apple's push service are signed there.
//
// +kubebuilder:validation:XValidation:rule="!has(self.aws) || self.uri.startsWith('awskms:')",message="aws goes with a uri that begins with awskms:"
// +kubebuilder:validation:XValidation:rule="!has(self.pinSecretRef) || self.uri.startsWith('pkcs11:')",message="pinSecretRef goes with a uri that begins with pkcs11:"
type KMSKey struct {
	// uri of the key: pkcs11:module-path=/usr/lib/module.so;token=LABEL;id=HEX;object=NAME (RFC 7512; the key is made in the token if it is not there; needs
	// images with PKCS#11, see the guide), or awskms:region=REGION;key-id=ID (the key must exist: RSA_2048, SIGN_VERIFY). A PIN does not belong into it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('pkcs11:') || self.startsWith('awskms:')",message="uri must begin with pkcs11: or awskms:"
	// +kubebuilder:validation:XValidation:rule="!self.contains('pin-value')",message="a PIN does not belong into the uri, which everybody may read: use pinSecretRef"
	URI string `json:"uri,omitempty"`

	// pinSecretRef is the key of a Secret with the PIN of the PKCS#11 token.
	// +optional
	PINSecretRef *KeyReference `json:"pinSecretRef,omitempty"`

	// aws is how servers sign in to AWS.
	// +optional
	AWS *AWSAccess `json:"aws,omitempty"`
}

// AWSAccess is how a pod signs in to AWS: with a token of its service account that is good for AWS only and not for the API server.
type AWSAccess struct {
	// roleARN is the IAM role that the server's pod takes. Its trust policy names the cluster's OIDC provider, the audience sts.amazonaws.com and the
	// service account "default" of the server's namespace; it needs kms:Sign and kms:GetPublicKey on the key.
	// +required
	// +kubebuilder:validation:MinLength=20
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$`
	RoleARN string `json:"roleARN,omitempty"`
}
