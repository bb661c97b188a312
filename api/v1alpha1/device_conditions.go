package v1alpha1

// Conditions of a Device.
const (
	// DeviceMatched is True when the object speaks for its device at the server: for an enrolment, or for one that is yet to come.
	DeviceMatched = "Matched"
	// DevicePublished is True when the server knows which Profiles the device should have and whether it is to be managed.
	DevicePublished = "Published"
	// DeviceEnrolled is True while the device has a live enrolment.
	DeviceEnrolled = "Enrolled"
	// DeviceResponding is True while the device was heard from within silentAfter of its MDMServer. It turns once, when the time has passed.
	DeviceResponding = "Responding"
	// DeviceProfilesApplied is False while the device refuses a Profile, and True otherwise. Profiles that have not reached it yet do not count.
	DeviceProfilesApplied = "ProfilesApplied"
	// DeviceConfigured is False while a device waits in Setup Assistant for its Profiles, True once it was told that it is configured, and absent of
	// devices that do not wait.
	DeviceConfigured = "DeviceConfigured"
	// DeviceReenrolmentBlocked is True after somebody tried to enrol this device a second time with a new identity, and absent otherwise.
	DeviceReenrolmentBlocked = "ReenrolmentBlocked"
	// DeviceRenewalDue is True while a PC is late with the renewal of its certificate: more than half of renewBefore of spec.windows.identity of its
	// MDMServer has passed. It is absent otherwise.
	DeviceRenewalDue = "RenewalDue"
)

// Events of a Device that are about no condition.
const (
	// DeviceEventNodeRefused: a PC refused a node that it had not refused before, as status.lastError tells.
	DeviceEventNodeRefused = "NodeRefused"
	// DeviceEventDriftRepaired: a PC had lost a setting and was given it back, as status.lastDrift tells.
	DeviceEventDriftRepaired = "DriftRepaired"
)

// Reasons in the conditions of a Device.
const (
	// DeviceAwaitingEnrollment: the device is declared and has not enrolled yet. Enrol it with an EnrollmentToken.
	DeviceAwaitingEnrollment = "AwaitingEnrollment"
	// DeviceDuplicateIdentity: another Device declares the same serial number or UDID, and it was first. Delete one of the two.
	DeviceDuplicateIdentity = "DuplicateIdentity"
	// DeviceUnknownToServer: the device was enrolled and the server does not know it any more (its store was restored or replaced). Restore a
	// newer store, or enrol the device again; nothing was taken from it.
	DeviceUnknownToServer = "UnknownToServer"
	// DeviceEnrollmentPending: the device has begun to enrol. Wait for its first TokenUpdate (Apple) or session (Windows).
	DeviceEnrollmentPending = "EnrollmentPending"
	// DeviceEnrollmentEnded: the enrolment is over; the message says why. Enrol the device again, or delete the object.
	DeviceEnrollmentEnded = "EnrollmentEnded"
	// DeviceSilent: nothing was heard of the device for longer than silentAfter. Find out whether it is in use; it catches up when it comes back.
	DeviceSilent = "Silent"
	// DevicePushUnregistered: Apple says that the device cannot be woken any more (usually it was erased). It is managed when it calls by itself; enrol it again otherwise.
	DevicePushUnregistered = "PushUnregistered"
	// DeviceProfileRefused: the device refused a Profile; status.failing repeats its reasons. Correct the Profile; it is not tried again before.
	DeviceProfileRefused = "ProfileRefused"
	// DeviceIdentityTaken: a new identity asked for a device whose enrolment is live. If that was you: annotate the Device with
	// mdm.kubemdm.io/release: <status.enrollment.id>, or enrol it with a token whose deviceRef names it. If it was not: nothing happened to the device.
	DeviceIdentityTaken = "IdentityTaken"
	// DeviceAwaitingConfiguration: the device waits in Setup Assistant until the Profiles that it should have are on it. Wait; status.failing names those
	// that it refuses, which do not hold it.
	DeviceAwaitingConfiguration = "AwaitingConfiguration"
	// DeviceRenewalLate: the PC has not renewed its certificate. See that it is on and reaches the server before the certificate expires.
	DeviceRenewalLate = "RenewalLate"
	// DeviceIdentityExpired: the PC's certificate has expired. Enrol it again.
	DeviceIdentityExpired = "IdentityExpired"
)

// KnownConditions implements Object.
func (*Device) KnownConditions() []string {
	return []string{ConditionReady, DeviceMatched, DevicePublished, DeviceEnrolled, DeviceResponding, DeviceProfilesApplied}
}
