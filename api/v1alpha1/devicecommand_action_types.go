package v1alpha1

// DeviceInformationAction asks what a device is.
type DeviceInformationAction struct {
	// queries as Apple names them (https://developer.apple.com/documentation/devicemanagement/get-device-information); absent: what the
	// status of a Device shows.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	Queries []string `json:"queries,omitempty"`
}

// PINPolicy says where the PIN of a locked or erased Mac comes from.
//
// +kubebuilder:validation:Enum=Generate;None
type PINPolicy string

// The PIN policies.
const (
	// PINGenerate makes a PIN for every device, which status.pinSecretRef holds once it was delivered.
	PINGenerate PINPolicy = "Generate"
	// PINNone sends none. Macs without Apple silicon refuse to lock without one.
	PINNone PINPolicy = "None"
)

// LockAction says how to lock a device.
type LockAction struct {
	// message on the lock screen.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`

	// phoneNumber on the lock screen.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	PhoneNumber string `json:"phoneNumber,omitempty"`

	// pin that a Mac asks for.
	// +optional
	// +kubebuilder:default=Generate
	PIN PINPolicy `json:"pin,omitempty"`
}

// DataPlanPolicy is what becomes of the data plan of an eSIM.
//
// +kubebuilder:validation:Enum=Preserve;Erase
type DataPlanPolicy string

// The data plan policies.
const (
	// DataPlanPreserve keeps the eSIM.
	DataPlanPreserve DataPlanPolicy = "Preserve"
	// DataPlanErase erases it with the rest.
	DataPlanErase DataPlanPolicy = "Erase"
)

// ObliterationBehavior is what a Mac does when it cannot erase all content and settings (EraseDevice in Apple's protocol reference).
//
// +kubebuilder:validation:Enum=Default;DoNotObliterate;ObliterateWithWarning;Always
type ObliterationBehavior string

// The behaviours, as Apple names them.
const (
	ObliterationDefault         ObliterationBehavior = "Default"
	ObliterationDoNotObliterate ObliterationBehavior = "DoNotObliterate"
	ObliterationWithWarning     ObliterationBehavior = "ObliterateWithWarning"
	ObliterationAlways          ObliterationBehavior = "Always"
)

// WipeAction confirms which device to erase, and says how. Serial number and enrolment id are compared with the Device before anything is
// sent, and the enrolment is new after every enrolment: a wipe can never hit another device or a later owner.
type WipeAction struct {
	// serialNumber repeats status.hardware.serialNumber of the Device.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	SerialNumber string `json:"serialNumber,omitempty"`

	// enrollmentID repeats status.enrollment.id of the Device.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	EnrollmentID string `json:"enrollmentID,omitempty"`

	// dataPlan is what becomes of the data plan of an eSIM.
	// +optional
	// +kubebuilder:default=Erase
	DataPlan DataPlanPolicy `json:"dataPlan,omitempty"`

	// obliterationBehavior is what a Mac does when it cannot erase all content and settings.
	// +optional
	// +kubebuilder:default=Default
	ObliterationBehavior ObliterationBehavior `json:"obliterationBehavior,omitempty"`

	// pin that an older Mac asks for after it was erased.
	// +optional
	// +kubebuilder:default=Generate
	PIN PINPolicy `json:"pin,omitempty"`
}

// ApplicationKind selects between Apple's two commands that install an application.
//
// +kubebuilder:validation:Enum=App;Enterprise
type ApplicationKind string

// The kinds of application.
const (
	// ApplicationApp is an app with a manifest (InstallApplication).
	ApplicationApp ApplicationKind = "App"
	// ApplicationEnterprise is a package for a Mac (InstallEnterpriseApplication).
	ApplicationEnterprise ApplicationKind = "Enterprise"
)

// InstallApplicationAction says what to install.
type InstallApplicationAction struct {
	// manifestURL is the https URL of the manifest that describes the application.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="manifestURL must be an https URL"
	ManifestURL string `json:"manifestURL,omitempty"`

	// kind of application.
	// +optional
	// +kubebuilder:default=App
	Kind ApplicationKind `json:"kind,omitempty"`
}

// RawAction is a command as it is.
type RawAction struct {
	// plist is the Command dictionary with its RequestType, as an XML property list. Commands that erase a device or install or remove profiles are
	// refused here: they have safer ways of their own.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	Plist string `json:"plist,omitempty"`
}
