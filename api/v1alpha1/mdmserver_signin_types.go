package v1alpha1

// SignIn is an OpenID Connect issuer at which people sign in.
type SignIn struct {
	// issuerURL is the issuer's identifier; its configuration is found below it (OpenID Connect Discovery 1.0).
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="issuerURL must be an https URL"
	IssuerURL string `json:"issuerURL,omitempty"`

	// clientID is the server's at the issuer. Register the redirect URI https://<host>/api/mdm/microsoft/signin/callback for it in spec.windows,
	// https://<host>/ade/signin/callback in spec.apple. One client may have both.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ClientID string `json:"clientID,omitempty"`

	// clientSecretRef is the Secret with the secret of the client.
	// +required
	ClientSecretRef KeyReference `json:"clientSecretRef,omitzero"`

	// caSecretRef is the Secret with the certificate (PEM) of the CA that the issuer's certificate comes from; absent: the public ones.
	// +optional
	CASecretRef *KeyReference `json:"caSecretRef,omitempty"`

	// domains are the e-mail domains whose people may enrol; absent: everybody whom the issuer knows.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Domains []string `json:"domains,omitempty"`
}
