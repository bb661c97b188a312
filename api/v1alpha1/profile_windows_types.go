package v1alpha1

// WindowsProfileType selects a member of WindowsProfile.
//
// +kubebuilder:validation:Enum=Settings;SyncML
type WindowsProfileType string

// The ways to write a profile for Windows devices.
const (
	// WindowsSettings is a list of settings in YAML.
	WindowsSettings WindowsProfileType = "Settings"
	// WindowsSyncML is a list of commands in Windows' own language, as tools export it.
	WindowsSyncML WindowsProfileType = "SyncML"
)

// WindowsProfile is a list of nodes of the management tree of a Windows device and what should stand in them
// (https://learn.microsoft.com/windows/client-management/mdm). Nodes that erase or unenrol a device are refused: a DeviceCommand does that.
//
// +kubebuilder:validation:XValidation:rule="has(self.settings) == (self.type == 'Settings')",message="settings is required with type Settings and not allowed with another type"
// +kubebuilder:validation:XValidation:rule="has(self.syncML) == (self.type == 'SyncML')",message="syncML is required with type SyncML and not allowed with another type"
type WindowsProfile struct {
	// type is the way the profile is written.
	// +unionDiscriminator
	// +required
	Type WindowsProfileType `json:"type,omitempty"`

	// settings are applied in order. Each node is taken away again when no Profile of the device has it any more.
	// +optional
	// +listType=map
	// +listMapKey=locURI
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Settings []WindowsSetting `json:"settings,omitempty"`

	// syncML are commands in Windows' own language.
	// +optional
	SyncML *SyncMLProfile `json:"syncML,omitempty"`
}

// SettingFormat is the type of a value, in the terms of Windows' management protocol (OMA-DM 1.2, MS-MDM section 2.2.3.3).
//
// +kubebuilder:validation:Enum=chr;int;bool;b64;bin;xml;node;null;date;time;float
type SettingFormat string

// The formats.
const (
	// FormatText is text.
	FormatText SettingFormat = "chr"
	// FormatInteger is a whole number of 32 bits.
	FormatInteger SettingFormat = "int"
	// FormatBoolean is true or false.
	FormatBoolean SettingFormat = "bool"
	// FormatBase64 is binary data in base64.
	FormatBase64 SettingFormat = "b64"
	// FormatBinary is binary data too, written in base64; few nodes ask for it.
	FormatBinary SettingFormat = "bin"
	// FormatXML is a piece of XML.
	FormatXML SettingFormat = "xml"
	// FormatNode makes an inner node, which has no value.
	FormatNode SettingFormat = "node"
	// FormatNull is a leaf without a value.
	FormatNull SettingFormat = "null"
	// FormatDate is a day, such as 2026-01-31.
	FormatDate SettingFormat = "date"
	// FormatTime is a time of day, such as 13:45:00.
	FormatTime SettingFormat = "time"
	// FormatFloat is a number with a fraction.
	FormatFloat SettingFormat = "float"
)

// SettingVerification says how the operator knows that a device has a setting.
//
// +kubebuilder:validation:Enum=Value;Status
type SettingVerification string

// The ways to verify a setting.
const (
	// VerifyValue reads the node again, at once and from time to time later, and repairs what differs.
	VerifyValue SettingVerification = "Value"
	// VerifyStatus believes the device when it says that it took the value: for nodes that answer something else than what was written.
	VerifyStatus SettingVerification = "Status"
)

// WindowsSetting is one node and what should stand in it.
//
// +kubebuilder:validation:XValidation:rule="(has(self.value) ? 1 : 0) + (has(self.valueFrom) ? 1 : 0) == (self.format in ['node', 'null'] ? 0 : 1)",message="one of value and valueFrom is required, and none of them with the formats node and null"
type WindowsSetting struct {
	// locURI is the path of the node, such as ./Device/Vendor/MSFT/Policy/Config/DeviceLock/MaxInactivityTimeDeviceLock. Names in it are
	// percent-encoded. What is below ./User is the user's and needs the scope User; all else is the device's.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^\./`
	LocURI string `json:"locURI,omitempty"`

	// format of the value, as Microsoft's documentation of the node says.
	// +optional
	// +kubebuilder:default=chr
	Format SettingFormat `json:"format,omitempty"`

	// mimeType of the value, for the few nodes that ask for one.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=127
	// +kubebuilder:validation:Pattern=`^[-+.A-Za-z0-9]+/[-+.A-Za-z0-9]+$`
	MIMEType string `json:"mimeType,omitempty"`

	// value is what should stand in the node: of the formats b64 and bin in base64, of xml as it is, without escapes.
	// +optional
	// +kubebuilder:validation:MaxLength=1048576
	Value *string `json:"value,omitempty"`

	// valueFrom takes the value from elsewhere, so that no secret stands in this object.
	// +optional
	ValueFrom *SettingValueSource `json:"valueFrom,omitempty"`

	// verification says how the operator knows that a device has the setting.
	// +optional
	// +kubebuilder:default=Value
	Verification SettingVerification `json:"verification,omitempty"`
}

// SettingValueSource is where the value of a setting is.
type SettingValueSource struct {
	// secretRef is the key of a Secret that holds the value. Of the formats b64 and bin it holds the binary data itself.
	// +required
	SecretRef KeyReference `json:"secretRef,omitzero"`
}

// SyncMLProfile is a SyncML document, its SyncBody alone, or the commands alone: Add, Replace, Delete, Exec, and of these an Atomic or a Sequence.
// Numbers of commands (CmdID) are set by the operator. What Add and Replace write is taken away again like a setting.
type SyncMLProfile struct {
	ContentSource `json:",inline"`

	// verification says how the operator knows that a device has what Add and Replace wrote.
	// +optional
	// +kubebuilder:default=Value
	Verification SettingVerification `json:"verification,omitempty"`
}
