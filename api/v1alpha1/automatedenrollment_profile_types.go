package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SetupProfile is what a device does in Setup Assistant (Apple: "Define a Profile").
//
// +kubebuilder:validation:XValidation:rule="self.advance != 'Automatic' || has(self.language) && has(self.region)",message="advance Automatic needs language and region"
// +kubebuilder:validation:XValidation:rule="self.advance != 'Automatic' || self.signIn != 'Required'",message="with advance Automatic there is nobody who could sign in"
type SetupProfile struct {
	// name of the profile, unique in the list.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// selector selects Devices by their labels, those that the operator sets (mdm.kubemdm.io/family, /model, /automated-enrollment) included.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// serialNumbers are devices that get the profile whatever their labels are.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	SerialNumbers []string `json:"serialNumbers,omitempty"`

	// displayName is what people see, absent: the name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=125
	DisplayName string `json:"displayName,omitempty"`

	// skipItems are the panes of Setup Assistant that are not shown, by Apple's keys (SkipKeys), such as AppleID, Siri, Diagnostics.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9]+$`
	SkipItems []string `json:"skipItems,omitempty"`

	// awaitConfiguration says whether the device stays in Setup Assistant until the Profiles that it should have are on it.
	// +optional
	// +kubebuilder:default=Hold
	AwaitConfiguration AwaitConfiguration `json:"awaitConfiguration,omitempty"`

	// enrollment says whether the person in front of the device may skip the enrolment.
	// +optional
	// +kubebuilder:default=Mandatory
	Enrollment SetupEnrollment `json:"enrollment,omitempty"`

	// removal says whether the person who uses the device may remove the management later. Only supervised devices can forbid it.
	// +optional
	// +kubebuilder:default=Forbidden
	Removal ManagementRemoval `json:"removal,omitempty"`

	// pairing says whether the device (iPhone, iPad) can be paired with any computer.
	// +optional
	// +kubebuilder:default=Allowed
	Pairing HostPairing `json:"pairing,omitempty"`

	// department that the device belongs to; people see it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=125
	Department string `json:"department,omitempty"`

	// supportPhoneNumber that people may call.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=50
	SupportPhoneNumber string `json:"supportPhoneNumber,omitempty"`

	// supportEmail that people may write to.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=250
	SupportEmail string `json:"supportEmail,omitempty"`

	// language of the device (ISO 639-1), such as en. The advance Automatic needs it.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[A-Za-z]+(-[A-Za-z0-9]+)*$`
	Language string `json:"language,omitempty"`

	// region of the device (ISO 3166-1), such as GB. The advance Automatic needs it.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=2
	// +kubebuilder:validation:Pattern=`^[A-Z]{2}$`
	Region string `json:"region,omitempty"`

	// advance says whether a Mac with Ethernet or an Apple TV goes through Setup Assistant by itself.
	// +optional
	// +kubebuilder:default=Manual
	Advance SetupAdvance `json:"advance,omitempty"`

	// anchorsConfigMapRef names CA certificates (PEM) that the device trusts on its way to the server. The server's own CA is added if it is not a public one.
	// +optional
	AnchorsConfigMapRef *KeyReference `json:"anchorsConfigMapRef,omitempty"`

	// signIn says whether the person in front of the device signs in at the issuer of spec.apple.signIn of the MDMServer before the device enrols.
	// +optional
	// +kubebuilder:default=None
	SignIn SetupSignIn `json:"signIn,omitempty"`

	// minimumOS are the oldest systems that may enrol, by family; a device with an older one is told to update first.
	// +optional
	// +listType=map
	// +listMapKey=family
	// +kubebuilder:validation:MaxItems=8
	MinimumOS []MinimumOS `json:"minimumOS,omitempty"`
}

// AwaitConfiguration says when a device may leave Setup Assistant.
//
// +kubebuilder:validation:Enum=Hold;Proceed
type AwaitConfiguration string

// When a device may leave Setup Assistant.
const (
	// AwaitHold keeps it there until each Profile for it is installed, or was refused by it for good.
	AwaitHold AwaitConfiguration = "Hold"
	// AwaitProceed lets it go at once; Profiles follow.
	AwaitProceed AwaitConfiguration = "Proceed"
)

// SetupEnrollment says whether an enrolment can be skipped.
//
// +kubebuilder:validation:Enum=Mandatory;Optional
type SetupEnrollment string

// Whether an enrolment can be skipped.
const (
	// SetupMandatory leaves no other way.
	SetupMandatory SetupEnrollment = "Mandatory"
	// SetupOptional lets the person decide.
	SetupOptional SetupEnrollment = "Optional"
)

// ManagementRemoval says whether people may remove the management.
//
// +kubebuilder:validation:Enum=Allowed;Forbidden
type ManagementRemoval string

// Whether people may remove the management.
const (
	// RemovalAllowed lets them.
	RemovalAllowed ManagementRemoval = "Allowed"
	// RemovalForbidden does not.
	RemovalForbidden ManagementRemoval = "Forbidden"
)

// HostPairing says whether a device can be paired with computers.
//
// +kubebuilder:validation:Enum=Allowed;Forbidden
type HostPairing string

// Whether a device can be paired with computers.
const (
	// PairingAllowed lets it be paired with any.
	PairingAllowed HostPairing = "Allowed"
	// PairingForbidden does not.
	PairingForbidden HostPairing = "Forbidden"
)

// SetupAdvance says who goes through Setup Assistant.
//
// +kubebuilder:validation:Enum=Manual;Automatic
type SetupAdvance string

// Who goes through Setup Assistant.
const (
	// AdvanceManual is a person.
	AdvanceManual SetupAdvance = "Manual"
	// AdvanceAutomatic is the device itself; it needs language and region.
	AdvanceAutomatic SetupAdvance = "Automatic"
)

// SetupSignIn says whether a person signs in before a device enrols.
//
// +kubebuilder:validation:Enum=None;Required
type SetupSignIn string

// Whether a person signs in.
const (
	// SetupSignInNone asks nobody.
	SetupSignInNone SetupSignIn = "None"
	// SetupSignInRequired asks whoever sets the device up; the Device shows the account.
	SetupSignInRequired SetupSignIn = "Required"
)

// MinimumOS is the oldest system of a family that may enrol.
type MinimumOS struct {
	// family of devices, as Apple lists it.
	// +required
	Family DeviceFamily `json:"family,omitempty"`

	// version of the system, such as 15.2.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+){0,2}$`
	Version string `json:"version,omitempty"`

	// build of the system to update to, absent: the newest of the version.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[0-9]+[A-Z][0-9]+[a-z]?$`
	Build string `json:"build,omitempty"`
}

// DeviceFamily is a family of Apple devices, as the device-enrolment service names it.
//
// +kubebuilder:validation:Enum=Mac;iPhone;iPad;iPod;AppleTV;Watch;RealityDevice
type DeviceFamily string

// AppleListing is what Apple Business Manager says of a device. The operator writes it.
type AppleListing struct {
	// automatedEnrollment is the AutomatedEnrollment whose server lists the device, or listed it last.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	AutomatedEnrollment string `json:"automatedEnrollment,omitempty"`

	// state tells whether the device is still listed.
	// +required
	State ListingState `json:"state,omitempty"`

	// since is when Apple assigned the device to the server, or when it was found to have left it.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// model of the device, such as "MacBook Pro 14".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Model string `json:"model,omitempty"`

	// description of the device by Apple.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Description string `json:"description,omitempty"`

	// family of the device, such as Mac.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Family string `json:"family,omitempty"`

	// color of the device.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Color string `json:"color,omitempty"`

	// assetTag of the device, if the organisation gave Apple one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	AssetTag string `json:"assetTag,omitempty"`
}

// ListingState tells whether a device belongs to the organisation.
//
// +kubebuilder:validation:Enum=Listed;Left
type ListingState string

// Whether a device belongs to the organisation.
const (
	// ListingListed is listed by Apple for the server.
	ListingListed ListingState = "Listed"
	// ListingLeft is not listed any more: it was sold, or moved to another server. The Device and its enrolment stay as they are.
	ListingLeft ListingState = "Left"
)
