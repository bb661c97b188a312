package v1alpha1

// EnrollmentPage is what people see who open the server's address to enrol a device. The page needs no JavaScript and loads nothing from elsewhere.
type EnrollmentPage struct {
	// title is the name above the page; absent: spec.organization.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Title string `json:"title,omitempty"`

	// color of buttons and links, as #rrggbb. The page darkens or lightens it where it could not be read otherwise.
	// +optional
	// +kubebuilder:validation:MinLength=7
	// +kubebuilder:validation:MaxLength=7
	// +kubebuilder:validation:Pattern=`^#[0-9a-fA-F]{6}$`
	Color string `json:"color,omitempty"`

	// logoConfigMapRef is an image in a ConfigMap: SVG, PNG or JPEG of at most 256 KiB.
	// +optional
	LogoConfigMapRef *KeyReference `json:"logoConfigMapRef,omitempty"`

	// supportURL is where people find help: an https: or mailto: address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^(https://|mailto:).+$`
	SupportURL string `json:"supportURL,omitempty"`

	// signInTokenRef is the EnrollmentToken whose labels, limits and end count for Macs, iPhones and iPads whose people sign in on the page, at
	// the issuer of spec.apple.signIn. Absent: they need a link or a code.
	// +optional
	SignInTokenRef *LocalReference `json:"signInTokenRef,omitempty"`
}
