package v1alpha1

// DeviceInformationAction asks what a device is.
type DeviceInformationAction struct {
	// queries as Apple names them (https://developer.apple.com/documentation/devicemanagement/get-device-information); absent: what the
	// status of a Device shows. A PC is always asked for that.
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

// WipeMethod is how a PC erases itself (RemoteWipe CSP).
//
// +kubebuilder:validation:Enum=Standard;Protected;KeepProvisionedData;KeepUserData;Cloud;CloudKeepProvisionedData;CloudKeepUserData
type WipeMethod string

// The methods. Those with Cloud download Windows anew instead of using what is on the disk.
const (
	// WipeStandard resets the PC (doWipe). Somebody who switches it off in time can stop it.
	WipeStandard WipeMethod = "Standard"
	// WipeProtected tries again after every start until it is done (doWipeProtected), which may leave a PC that does not start any more.
	WipeProtected WipeMethod = "Protected"
	// WipeKeepProvisionedData keeps provisioning packages (doWipePersistProvisionedData).
	WipeKeepProvisionedData WipeMethod = "KeepProvisionedData"
	// WipeKeepUserData keeps the accounts and files of users (doWipePersistUserData).
	WipeKeepUserData WipeMethod = "KeepUserData"
	// WipeCloud is Standard from the cloud (doWipeCloud).
	WipeCloud WipeMethod = "Cloud"
	// WipeCloudKeepProvisionedData is KeepProvisionedData from the cloud (doWipeCloudPersistProvisionedData).
	WipeCloudKeepProvisionedData WipeMethod = "CloudKeepProvisionedData"
	// WipeCloudKeepUserData is KeepUserData from the cloud (doWipeCloudPersistUserData).
	WipeCloudKeepUserData WipeMethod = "CloudKeepUserData"
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

	// method is how a PC erases itself; absent: Standard.
	// +optional
	Method WipeMethod `json:"method,omitempty"`
}

// DisownAction confirms which device Apple should forget. Both are compared with the Device before Apple is asked, as those of a wipe are.
type DisownAction struct {
	// serialNumber repeats spec.serialNumber of the Device.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	SerialNumber string `json:"serialNumber,omitempty"`

	// enrollmentID repeats status.enrollment.id of the Device; absent: the device has never enrolled.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	EnrollmentID string `json:"enrollmentID,omitempty"`
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

// InstallMSIAction is a Windows Installer package for all users of a PC (EnterpriseDesktopAppManagement CSP). A PC that has the product already does
// nothing. The command succeeds when the installer has.
type InstallMSIAction struct {
	// productCode of the package, with its braces.
	// +required
	// +kubebuilder:validation:MinLength=38
	// +kubebuilder:validation:MaxLength=38
	// +kubebuilder:validation:Pattern=`^\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}$`
	ProductCode string `json:"productCode,omitempty"`

	// version of the product.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)*$`
	Version string `json:"version,omitempty"`

	// url is the https URL that PCs download the package from.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''",message="url must be an https URL"
	URL string `json:"url,omitempty"`

	// sha256 of the package in hex. A PC runs nothing that has another.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[0-9A-Fa-f]{64}$`
	SHA256 string `json:"sha256,omitempty"`

	// commandLine are the options of msiexec, such as properties of the package.
	// +optional
	// +kubebuilder:default=/quiet
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	CommandLine string `json:"commandLine,omitempty"`

	// timeoutMinutes is how long the installer may take.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1440
	TimeoutMinutes int32 `json:"timeoutMinutes,omitempty"`

	// retries is how often a PC tries again by itself what failed.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	Retries *int32 `json:"retries,omitempty"`

	// retryIntervalMinutes is how long it waits in between.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1440
	RetryIntervalMinutes int32 `json:"retryIntervalMinutes,omitempty"`
}

// CertificateStore is a store of trusted certificates of a PC (RootCATrustedCertificates CSP).
//
// +kubebuilder:validation:Enum=Root;CA;TrustedPublisher;TrustedPeople
type CertificateStore string

// The stores.
const (
	// StoreRoot holds certification authorities that are trusted.
	StoreRoot CertificateStore = "Root"
	// StoreCA holds intermediate certification authorities.
	StoreCA CertificateStore = "CA"
	// StoreTrustedPublisher holds those whose signed code is trusted.
	StoreTrustedPublisher CertificateStore = "TrustedPublisher"
	// StoreTrustedPeople holds people and end entities that are trusted themselves.
	StoreTrustedPeople CertificateStore = "TrustedPeople"
)

// InstallCertificateAction lets a PC trust a certificate.
type InstallCertificateAction struct {
	// store that the certificate goes into.
	// +required
	Store CertificateStore `json:"store,omitempty"`

	// certificate is one certificate in PEM. It is read when the command is handed to the server.
	// +required
	Certificate ContentSource `json:"certificate,omitzero"`
}

// RawAction is a command as it is, for each platform that it should reach. Commands that erase or unenrol a device, or that a Profile does and
// takes back, are refused here: they have safer ways of their own.
//
// +kubebuilder:validation:XValidation:rule="has(self.plist) || has(self.windows)",message="raw needs plist for Apple devices, windows for PCs, or both"
type RawAction struct {
	// plist is the Command dictionary with its RequestType, as an XML property list, for Apple devices.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=262144
	Plist string `json:"plist,omitempty"`

	// windows is the command for PCs.
	// +optional
	Windows *RawWindowsCommand `json:"windows,omitempty"`
}

// RawVerb is what a command does with a node.
//
// +kubebuilder:validation:Enum=Add;Replace;Delete;Exec;Get
type RawVerb string

// The verbs, as Windows' management protocol names them.
const (
	RawAdd     RawVerb = "Add"
	RawReplace RawVerb = "Replace"
	RawDelete  RawVerb = "Delete"
	RawExec    RawVerb = "Exec"
	RawGet     RawVerb = "Get"
)

// RawWindowsCommand is one command to a node of the management tree of a PC.
//
// +kubebuilder:validation:XValidation:rule="!has(self.data) || !(self.verb in ['Delete', 'Get'])",message="Delete and Get take no data"
type RawWindowsCommand struct {
	// verb is what to do with the node.
	// +required
	Verb RawVerb `json:"verb,omitempty"`

	// locURI is the path of the node, such as ./Device/Vendor/MSFT/Update/ScanNow. Names in it are percent-encoded.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^\./`
	LocURI string `json:"locURI,omitempty"`

	// format of the data; absent: chr.
	// +optional
	Format SettingFormat `json:"format,omitempty"`

	// data for the node. It stands in this object for all to see who may read it.
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	Data *string `json:"data,omitempty"`
}
