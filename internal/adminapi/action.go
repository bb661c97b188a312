package adminapi

import "time"

// Action is one DeviceCommand for a list of enrolments. It is remembered by Key and SpecHash for 90 days after it finished:
// the same PUT is then answered with the old result instead of running again.
type Action struct {
	Key Key `json:"key"`
	// SpecHash is the hash of the DeviceCommand's spec. Another hash under a live key is refused with CodeSpecConflict;
	// under a finished key it is a new action.
	SpecHash string         `json:"specHash"`
	Deadline time.Time      `json:"deadline,omitzero"`
	Targets  []ActionTarget `json:"targets"`
	// Apple and Windows say what the action is on each platform. A target of a platform without it ends as failed with the reason in Unsupported.
	Apple       *AppleCommand       `json:"apple,omitempty"`
	Windows     *WindowsCommand     `json:"windows,omitempty"`
	Unsupported map[Platform]string `json:"unsupported,omitempty"`
}

// ActionTarget is one enrolment. An action never runs in a later enrolment of the device.
type ActionTarget struct {
	DeviceID     string `json:"deviceID"`
	EnrollmentID string `json:"enrollmentID"`
}

// Apple request types that the server builds (apple/device-management, mdm/commands).
const (
	AppleDeviceInformation        = "DeviceInformation"
	AppleRestartDevice            = "RestartDevice"
	AppleShutDownDevice           = "ShutDownDevice"
	AppleDeviceLock               = "DeviceLock"
	AppleEraseDevice              = "EraseDevice"
	AppleClearPasscode            = "ClearPasscode"
	AppleInstalledApplicationList = "InstalledApplicationList"
	AppleProfileList              = "ProfileList"
	AppleCertificateList          = "CertificateList"
	AppleSecurityInfo             = "SecurityInfo"
	AppleInstallApplication       = "InstallApplication"
	AppleInstallEnterpriseApp     = "InstallEnterpriseApplication"
	// AppleUnenroll removes the enrolment profile.
	AppleUnenroll = "Unenroll"
	// AppleRaw sends AppleCommand.Raw, a plist dictionary with RequestType, as the Command.
	AppleRaw = "Raw"
)

// AppleCommand is a command in terms of Apple's protocol. The server builds the plist, since PINs are made and unlock tokens
// kept there.
type AppleCommand struct {
	RequestType string `json:"requestType"`
	// Queries of DeviceInformation; empty asks for the default set.
	Queries []string `json:"queries,omitempty"`
	// Message and PhoneNumber of DeviceLock.
	Message     string `json:"message,omitempty"`
	PhoneNumber string `json:"phoneNumber,omitempty"`
	// GeneratePIN asks the server to make a six-digit PIN (DeviceLock and EraseDevice of a Mac), sealed until it is read.
	GeneratePIN bool `json:"generatePIN,omitempty"`
	// PreserveDataPlan, DisallowProximitySetup and ObliterationBehavior of EraseDevice.
	PreserveDataPlan       bool   `json:"preserveDataPlan,omitempty"`
	DisallowProximitySetup bool   `json:"disallowProximitySetup,omitempty"`
	ObliterationBehavior   string `json:"obliterationBehavior,omitempty"`
	// ManifestURL of InstallApplication and InstallEnterpriseApplication.
	ManifestURL string `json:"manifestURL,omitempty"`
	// ManagementFlags of InstallApplication.
	ManagementFlags int `json:"managementFlags,omitempty"`
	// Raw is the XML plist of AppleRaw.
	Raw []byte `json:"raw,omitempty"`
}

// TargetState is where one target of an action is.
type TargetState string

// The states of a target. All but the first three are final.
const (
	TargetQueued    TargetState = "Queued"
	TargetDelivered TargetState = "Delivered"
	TargetNotNow    TargetState = "NotNow"

	TargetSucceeded TargetState = "Succeeded"
	TargetFailed    TargetState = "Failed"
	// TargetUnconfirmed is a restart or shutdown that was delivered and never answered; it is not resent.
	TargetUnconfirmed TargetState = "Unconfirmed"
	// TargetEnrolmentEnded was open when its enrolment ended.
	TargetEnrolmentEnded TargetState = "EnrolmentEnded"
	TargetExpired        TargetState = "Expired"
	TargetCanceled       TargetState = "Canceled"
)

// Final says whether the state can still change.
func (s TargetState) Final() bool {
	switch s {
	case TargetQueued, TargetDelivered, TargetNotNow:
		return false
	}
	return true
}

// ActionStatus is the state of an action over all its targets.
type ActionStatus struct {
	Key      Key    `json:"key"`
	SpecHash string `json:"specHash"`
	Total    int    `json:"total"`
	// Counts by state.
	Counts     map[TargetState]int `json:"counts"`
	CreatedAt  time.Time           `json:"createdAt"`
	FinishedAt time.Time           `json:"finishedAt,omitzero"`
	// Held is true while no device gets the action, since it cannot be taken back and was not PUT since the server started: its store may be older than
	// a cancellation. PUT it again if it is still wanted.
	Held bool `json:"held,omitempty"`
	// Results are the newest, at most MaxInlineResults, without bodies.
	Results []ActionResult `json:"results,omitempty"`
}

// ActionResult is the outcome for one target.
type ActionResult struct {
	DeviceID     string      `json:"deviceID"`
	EnrollmentID string      `json:"enrollmentID"`
	State        TargetState `json:"state"`
	// Message is the device's error chain, or why the target ended without an answer.
	Message     string    `json:"message,omitempty"`
	DeliveredAt time.Time `json:"deliveredAt,omitzero"`
	FinishedAt  time.Time `json:"finishedAt,omitzero"`
	// HasPIN is true when a PIN was made for this target.
	HasPIN bool `json:"hasPIN,omitempty"`
	// Body is the device's answer (an XML plist), PIN the PIN that was made; both only in the answer of PathActionResult.
	Body []byte `json:"body,omitempty"`
	PIN  string `json:"pin,omitempty"`
}

// ResultRequest asks for the whole result of one target.
type ResultRequest struct {
	DeviceID string `json:"deviceID"`
}
