package v1alpha1

// Conditions of a DeviceCommand.
const (
	// DeviceCommandAccepted is True when the spec makes sense, the target exists and, for a wipe or a disown, the confirmations name exactly this enrolment.
	DeviceCommandAccepted = "Accepted"
	// DeviceCommandPublished is True when the server has the command.
	DeviceCommandPublished = "Published"
	// DeviceCommandSucceeded is True when the command has finished and no device failed: each one succeeded, or is Unconfirmed as restarts and shutdowns may be.
	DeviceCommandSucceeded = "Succeeded"
	// DeviceCommandFailed is True when the command has finished and a device failed, expired or left before, and absent otherwise.
	DeviceCommandFailed = "Failed"
)

// Reasons in the conditions of a DeviceCommand.
const (
	// DeviceCommandDeviceNotFound: target.deviceRef names no Device in this namespace. Correct the name in a new command.
	DeviceCommandDeviceNotFound = "DeviceNotFound"
	// DeviceCommandDeviceNotEnrolled: the Device has no live enrolment. Enrol it; the command goes on by itself until its deadline.
	DeviceCommandDeviceNotEnrolled = "DeviceNotEnrolled"
	// DeviceCommandWrongServer: the Device belongs to another MDMServer. Correct serverRef in a new command.
	DeviceCommandWrongServer = "WrongServer"
	// DeviceCommandNoTargets: no enrolled device matches target.selector. Check it against the labels of your Devices in a new command.
	DeviceCommandNoTargets = "NoTargets"
	// DeviceCommandConfirmationMismatch: serial number or enrolment id of the wipe or disown are not those of the Device, which may have enrolled anew.
	// Nothing was sent. Look at the Device, then write a new command.
	DeviceCommandConfirmationMismatch = "ConfirmationMismatch"
	// DeviceCommandNotListed: no AutomatedEnrollment lists the device, so that there is nothing to disown.
	DeviceCommandNotListed = "NotListed"
	// DeviceCommandAppleUnavailable: Apple's enrolment service does not answer, or refuses. See the AutomatedEnrollment; the command is tried again until its deadline.
	DeviceCommandAppleUnavailable = "AppleUnavailable"
	// DeviceCommandSpecConflict: a command of this name with another spec is still running at the server. Use another name, or wait for it.
	DeviceCommandSpecConflict = "SpecConflict"
	// DeviceCommandUnreadable: what the command is made of is not what it should be. The message says where: correct the ConfigMap or Secret.
	DeviceCommandUnreadable = "Unreadable"
	// DeviceCommandSecretTaken: the Secret <name>-pin exists and belongs to something else. Delete it; the server keeps the PINs meanwhile.
	DeviceCommandSecretTaken = "SecretTaken"
	// DeviceCommandRunning: devices have not all answered. Wait; the deadline ends it.
	DeviceCommandRunning = "Running"
	// DeviceCommandDone: every device did it. Nothing to do.
	DeviceCommandDone = "Done"
	// DeviceCommandSomeFailed: some devices did not do it; status.results says which and why.
	DeviceCommandSomeFailed = "SomeFailed"
	// DeviceCommandDeadlineExceeded: some devices were not reached before the deadline. Write a new command for them.
	DeviceCommandDeadlineExceeded = "DeadlineExceeded"
)

// Events of a DeviceCommand that are about no condition.
const (
	// DeviceCommandEventPINRevealed: somebody read the PINs that the command sent. The note says who; ask them if that was not wanted.
	DeviceCommandEventPINRevealed = "PINRevealed"
)

// KnownConditions implements Object.
func (*DeviceCommand) KnownConditions() []string {
	return []string{ConditionReady, DeviceCommandAccepted, DeviceCommandPublished, DeviceCommandSucceeded}
}
