package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DeviceCommand asks one device, or a selection of them, to do something once. Each targeted device ends in one final state, at the deadline
// at the latest, and a command never reaches a device that has enrolled anew since.
//
// Deleting a DeviceCommand cancels what was not delivered. The server remembers finished commands for 90 days: the same command under the same
// name does not run a second time but shows the old results, so pipelines may apply it again and again.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=mdm,shortName=dcmd
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="ACTION",type=string,JSONPath=`.spec.action.type`
// +kubebuilder:printcolumn:name="DEVICE",type=string,JSONPath=`.spec.target.deviceRef.name`
// +kubebuilder:printcolumn:name="TOTAL",type=integer,JSONPath=`.status.total`
// +kubebuilder:printcolumn:name="SUCCEEDED",type=integer,JSONPath=`.status.counts.succeeded`
// +kubebuilder:printcolumn:name="FAILED",type=integer,JSONPath=`.status.counts.failed`
// +kubebuilder:printcolumn:name="FINISHED",type=date,JSONPath=`.status.finishedAt`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type DeviceCommand struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object's metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is who should do what.
	// +required
	Spec DeviceCommandSpec `json:"spec,omitzero"`

	// status is what became of it.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status DeviceCommandStatus `json:"status,omitzero"`
}

// DeviceCommandSpec is who should do what. It is immutable: another command is another object.
//
// +kubebuilder:validation:XValidation:rule="self.action.type != 'Wipe' || has(self.target.deviceRef)",message="a wipe names one device in target.deviceRef"
// +kubebuilder:validation:XValidation:rule="self.action.type != 'Disown' || has(self.target.deviceRef)",message="a disown names one device in target.deviceRef"
// +kubebuilder:validation:XValidation:rule="self.action.type != 'Unenroll' || has(self.target.deviceRef)",message="an unenrolment names one device in target.deviceRef"
type DeviceCommandSpec struct {
	// serverRef is the MDMServer of the targeted devices.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="serverRef is immutable: create another command"
	ServerRef LocalReference `json:"serverRef,omitzero"`

	// target is who should do it.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="target is immutable: create another command"
	Target CommandTarget `json:"target,omitzero"`

	// action is what should be done.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="action is immutable: create another command"
	Action CommandAction `json:"action,omitzero"`

	// activeDeadlineSeconds after this object was created, what is still open ends as Expired. The default is a week.
	// +optional
	// +kubebuilder:default=604800
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=31536000
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="activeDeadlineSeconds is immutable: create another command"
	ActiveDeadlineSeconds int64 `json:"activeDeadlineSeconds,omitempty"`

	// ttlSecondsAfterFinished is how long this object stays after it has finished; absent: until somebody deletes it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`
}

// CommandTarget is who should do something.
//
// +kubebuilder:validation:ExactlyOneOf=deviceRef;selector
// +kubebuilder:validation:MinProperties=1
type CommandTarget struct {
	// deviceRef is one Device.
	// +optional
	DeviceRef *LocalReference `json:"deviceRef,omitempty"`

	// selector selects enrolled devices of the server by their labels, once: when the command is accepted. {} selects them all.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// ActionType is what a device should do, and selects a member of CommandAction if it needs parameters.
//
// +kubebuilder:validation:Enum=DeviceInformation;Restart;ShutDown;Lock;Wipe;ClearPasscode;InstalledApplications;ProfileList;CertificateList;SecurityInfo;InstallApplication;InstallMSI;InstallCertificate;Unenroll;Disown;Raw
type ActionType string

// The types of action.
const (
	// ActionDeviceInformation asks what the device is; the answer updates the Device's status.
	ActionDeviceInformation ActionType = "DeviceInformation"
	// ActionRestart restarts the device.
	ActionRestart ActionType = "Restart"
	// ActionShutDown switches the device off.
	ActionShutDown ActionType = "ShutDown"
	// ActionLock locks the device.
	ActionLock ActionType = "Lock"
	// ActionWipe erases the device.
	ActionWipe ActionType = "Wipe"
	// ActionClearPasscode removes the passcode of an iPhone or iPad, by the unlock token that it gave the server.
	ActionClearPasscode ActionType = "ClearPasscode"
	// ActionInstalledApplications lists applications.
	ActionInstalledApplications ActionType = "InstalledApplications"
	// ActionProfileList lists configuration profiles.
	ActionProfileList ActionType = "ProfileList"
	// ActionCertificateList lists certificates.
	ActionCertificateList ActionType = "CertificateList"
	// ActionSecurityInfo asks for the state of encryption, passcode and firewall.
	ActionSecurityInfo ActionType = "SecurityInfo"
	// ActionInstallApplication installs an application.
	ActionInstallApplication ActionType = "InstallApplication"
	// ActionInstallMSI installs a package on a PC.
	ActionInstallMSI ActionType = "InstallMSI"
	// ActionInstallCertificate lets a PC trust a certificate.
	ActionInstallCertificate ActionType = "InstallCertificate"
	// ActionUnenroll ends the enrolment: the device forgets the server and what it installed, and keeps all else.
	ActionUnenroll ActionType = "Unenroll"
	// ActionDisown makes Apple forget for good that the organisation owns the device, as before it is sold. Apple does it, not the device: what is on the
	// device stays, its enrolment included, and only the seller or Apple Configurator can bring it back.
	ActionDisown ActionType = "Disown"
	// ActionRaw sends a command as it is.
	ActionRaw ActionType = "Raw"
)

// CommandAction is what should be done. Types without a member of their name need no parameters. A device of a platform that has no such action ends
// as Failed, with the reason in status.results.
//
// +kubebuilder:validation:XValidation:rule="!has(self.deviceInformation) || self.type == 'DeviceInformation'",message="deviceInformation is allowed with type DeviceInformation only"
// +kubebuilder:validation:XValidation:rule="!has(self.lock) || self.type == 'Lock'",message="lock is allowed with type Lock only"
// +kubebuilder:validation:XValidation:rule="has(self.wipe) == (self.type == 'Wipe')",message="wipe is required with type Wipe and not allowed with another type"
// +kubebuilder:validation:XValidation:rule="has(self.disown) == (self.type == 'Disown')",message="disown is required with type Disown and not allowed with another type"
// +kubebuilder:validation:XValidation:rule="has(self.installApplication) == (self.type == 'InstallApplication')",message="installApplication is required with type InstallApplication and not allowed with another type"
// +kubebuilder:validation:XValidation:rule="has(self.installMSI) == (self.type == 'InstallMSI')",message="installMSI is required with type InstallMSI and not allowed with another type"
// +kubebuilder:validation:XValidation:rule="has(self.installCertificate) == (self.type == 'InstallCertificate')",message="installCertificate is required with type InstallCertificate and not allowed with another type"
// +kubebuilder:validation:XValidation:rule="has(self.raw) == (self.type == 'Raw')",message="raw is required with type Raw and not allowed with another type"
type CommandAction struct {
	// type is the action.
	// +unionDiscriminator
	// +required
	Type ActionType `json:"type,omitempty"`

	// deviceInformation says what to ask.
	// +optional
	DeviceInformation *DeviceInformationAction `json:"deviceInformation,omitempty"`

	// lock says how to lock.
	// +optional
	Lock *LockAction `json:"lock,omitempty"`

	// wipe confirms which device to erase, and says how.
	// +optional
	Wipe *WipeAction `json:"wipe,omitempty"`

	// disown confirms which device Apple should forget.
	// +optional
	Disown *DisownAction `json:"disown,omitempty"`

	// installApplication says what to install.
	// +optional
	InstallApplication *InstallApplicationAction `json:"installApplication,omitempty"`

	// installMSI says what to install on a PC.
	// +optional
	InstallMSI *InstallMSIAction `json:"installMSI,omitempty"`

	// installCertificate says what a PC should trust.
	// +optional
	InstallCertificate *InstallCertificateAction `json:"installCertificate,omitempty"`

	// raw is the command itself.
	// +optional
	Raw *RawAction `json:"raw,omitempty"`
}

// GetCommonStatus implements Object.
func (c *DeviceCommand) GetCommonStatus() *CommonStatus { return &c.Status.CommonStatus }

// DeviceCommandList is a list of DeviceCommands.
//
// +kubebuilder:object:root=true
type DeviceCommandList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DeviceCommand `json:"items"`
}
