package v1alpha1

// AppleImport is another server by which devices were enrolled. They go on to use its paths below the same host, which now leads to this server.
//
// +kubebuilder:validation:XValidation:rule="self.serverPath != '/' && self.checkInPath != '/'",message="a path cannot be /: the enrolment page is there"
type AppleImport struct {
	// name tells the imports apart.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// serverPath is the path of ServerURL in the enrolment profile of those devices, such as /mdm.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^/[-._~/a-zA-Z0-9]*$`
	ServerPath string `json:"serverPath,omitempty"`

	// checkInPath is the path of CheckInURL in that profile, such as /checkin. It may be serverPath again.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^/[-._~/a-zA-Z0-9]*$`
	CheckInPath string `json:"checkInPath,omitempty"`

	// caConfigMapRef are the certificates (PEM) of the CA that issued the certificates of those devices. Its key is not needed: whatever is renewed, this
	// server issues.
	// +required
	CAConfigMapRef KeyReference `json:"caConfigMapRef,omitzero"`
}
