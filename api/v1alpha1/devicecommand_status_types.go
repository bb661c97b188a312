package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DeviceCommandStatus is what became of a command.
type DeviceCommandStatus struct {
	CommonStatus `json:",inline"`

	// startedAt is when the server took the command.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// finishedAt is when the last device reached its final state.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// total counts the targeted devices.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Total *int32 `json:"total,omitempty"`

	// counts are the targeted devices by state.
	// +optional
	Counts *CommandCounts `json:"counts,omitempty"`

	// results are the newest ones; the server has them all.
	// +optional
	// +listType=map
	// +listMapKey=device
	// +kubebuilder:validation:MaxItems=20
	Results []CommandResult `json:"results,omitempty"`

	// pinSecretRef is the Secret that holds the PINs that were generated, each under the name of its Device.
	// +optional
	PINSecretRef *LocalReference `json:"pinSecretRef,omitempty"`
}

// CommandCounts are devices by state. A state that no device is in is absent.
type CommandCounts struct {
	// queued waits for the device's next contact.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Queued int32 `json:"queued,omitempty"`

	// delivered waits for the device's answer.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Delivered int32 `json:"delivered,omitempty"`

	// notNow is asked again later, since the device could not do it now.
	// +optional
	// +kubebuilder:validation:Minimum=1
	NotNow int32 `json:"notNow,omitempty"`

	// succeeded was done.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Succeeded int32 `json:"succeeded,omitempty"`

	// failed was refused by the device.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Failed int32 `json:"failed,omitempty"`

	// unconfirmed was a restart or shutdown that was delivered and never answered, which is usual; it is not sent again.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Unconfirmed int32 `json:"unconfirmed,omitempty"`

	// enrolmentEnded was open when the device's enrolment ended.
	// +optional
	// +kubebuilder:validation:Minimum=1
	EnrolmentEnded int32 `json:"enrolmentEnded,omitempty"`

	// expired was open at the deadline.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Expired int32 `json:"expired,omitempty"`

	// canceled was not delivered before the command was deleted.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Canceled int32 `json:"canceled,omitempty"`
}

// CommandState is where one device is with a command. All but Queued, Delivered and NotNow are final.
//
// +kubebuilder:validation:Enum=Queued;Delivered;NotNow;Succeeded;Failed;Unconfirmed;EnrolmentEnded;Expired;Canceled
type CommandState string

// CommandResult is where one device is with a command.
type CommandResult struct {
	// device is the name of the Device.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Device string `json:"device,omitempty"`

	// state of the device.
	// +required
	State CommandState `json:"state,omitempty"`

	// message is the device's reason, or why there is no answer.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// finishedAt is when the state became final.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
}
