package v1alpha1

// Conditions of an AutomatedEnrollment.
const (
	// AutomatedEnrollmentKeyReady is True when the key pair is there that Apple encrypts the token for.
	AutomatedEnrollmentKeyReady = "KeyReady"
	// AutomatedEnrollmentTokenAccepted is True when the newest token that was given is in use.
	AutomatedEnrollmentTokenAccepted = "TokenAccepted"
	// AutomatedEnrollmentTokenNotExpiring is False once less than spec.renewBefore of the token in use is left.
	AutomatedEnrollmentTokenNotExpiring = "TokenNotExpiring"
	// AutomatedEnrollmentServiceReachable is True when Apple's service answered the last call.
	AutomatedEnrollmentServiceReachable = "ServiceReachable"
	// AutomatedEnrollmentProfilesDefined is True when Apple has all of spec.profiles as they are now.
	AutomatedEnrollmentProfilesDefined = "ProfilesDefined"
	// AutomatedEnrollmentDevicesSynced is True when there is a Device for each device that Apple lists.
	AutomatedEnrollmentDevicesSynced = "DevicesSynced"
	// AutomatedEnrollmentDevicesAssigned is True when each device has the profile at Apple that it should have.
	AutomatedEnrollmentDevicesAssigned = "DevicesAssigned"
	// AutomatedEnrollmentPublished is True when the server knows which devices may enrol this way.
	AutomatedEnrollmentPublished = "Published"
)

// Events of an AutomatedEnrollment that are about no condition.
const (
	// AutomatedEnrollmentEventDevicesLeft: Apple does not list some devices any more. Their Devices are marked and stay.
	AutomatedEnrollmentEventDevicesLeft = "DevicesLeft"
	// AutomatedEnrollmentEventTokenAccepted: a token was taken into use. The note says when it ends.
	AutomatedEnrollmentEventTokenAccepted = "TokenAccepted"
)

// Reasons in the conditions of an AutomatedEnrollment.
const (
	// AutomatedEnrollmentAwaitingToken: no token was given yet. status.nextStep leads through it.
	AutomatedEnrollmentAwaitingToken = "AwaitingToken"
	// AutomatedEnrollmentSecretTaken: the Secret that the keys belong into exists and is somebody else's. Delete it, or use another name.
	AutomatedEnrollmentSecretTaken = "SecretTaken"
	// AutomatedEnrollmentKeyLost: the Secret with the key pair is gone. Restore it from a backup, or set the annotation mdm.kubemdm.io/renew to a new value and begin
	// again with a new public key; devices stay enrolled.
	AutomatedEnrollmentKeyLost = "KeyLost"
	// AutomatedEnrollmentKMSFailed: the KMS that sealed the key and the token does not answer or refuses. The message repeats why.
	AutomatedEnrollmentKMSFailed = "KMSFailed"
	// AutomatedEnrollmentTokenUnreadable: the file is not what Apple Business Manager gives, or is cut off. Download the token again.
	AutomatedEnrollmentTokenUnreadable = "TokenUnreadable"
	// AutomatedEnrollmentTokenForAnotherKey: the token was encrypted for another public key. Upload status.publicKeyCertificate and download the token again.
	AutomatedEnrollmentTokenForAnotherKey = "TokenForAnotherKey"
	// AutomatedEnrollmentTokenIncomplete: the token lacks what it needs. Download it again.
	AutomatedEnrollmentTokenIncomplete = "TokenIncomplete"
	// AutomatedEnrollmentTokenOfAnotherServer: the token is of another server in Apple Business Manager than the one in use. Give the token of the same server, or
	// set spec.acceptConsumerKey to the key that the message names.
	AutomatedEnrollmentTokenOfAnotherServer = "TokenOfAnotherServer"
	// AutomatedEnrollmentTokenExpired: the token has ended, and Apple tells nothing any more. Download a new one in Apple Business Manager; devices stay enrolled.
	AutomatedEnrollmentTokenExpired = "TokenExpired"
	// AutomatedEnrollmentTokenExpiring: less than spec.renewBefore is left. Download a new token in Apple Business Manager.
	AutomatedEnrollmentTokenExpiring = "TokenExpiring"
	// AutomatedEnrollmentTokenRevoked: Apple refuses the token: the server was deleted in Apple Business Manager, a newer token was downloaded, or the person who
	// downloaded this one has lost the right. Download a new token.
	AutomatedEnrollmentTokenRevoked = "TokenRevoked"
	// AutomatedEnrollmentTermsNotAccepted: Apple has new terms and conditions. An administrator signs in to Apple Business Manager and accepts them; all goes on by itself then.
	AutomatedEnrollmentTermsNotAccepted = "TermsNotAccepted"
	// AutomatedEnrollmentThrottled: Apple asks to wait. Nothing is lost; it goes on by itself.
	AutomatedEnrollmentThrottled = "Throttled"
	// AutomatedEnrollmentClockSkewed: the clock of the manager's node differs from Apple's by minutes. Set the node's clock (NTP).
	AutomatedEnrollmentClockSkewed = "ClockSkewed"
	// AutomatedEnrollmentServiceUnavailable: Apple's service does not answer as it should. Look at the network's way to mdmenrollment.apple.com if it lasts.
	AutomatedEnrollmentServiceUnavailable = "ServiceUnavailable"
	// AutomatedEnrollmentServiceRefused: Apple refuses a request; the message repeats its words. Correct the profile if it is about one.
	AutomatedEnrollmentServiceRefused = "ServiceRefused"
	// AutomatedEnrollmentSyncing: the devices are being brought in. Wait.
	AutomatedEnrollmentSyncing = "Syncing"
	// AutomatedEnrollmentDeviceRefused: the API server refuses a Device for something that Apple lists. The message says why.
	AutomatedEnrollmentDeviceRefused = "DeviceRefused"
	// AutomatedEnrollmentAssignmentRefused: Apple refuses to assign a profile to some devices, usually since they moved to another server a moment ago.
	// It is tried again after each full list.
	AutomatedEnrollmentAssignmentRefused = "AssignmentRefused"
	// AutomatedEnrollmentNoProfiles: spec.profiles is empty: devices are listed, and none gets a profile. Add one.
	AutomatedEnrollmentNoProfiles = "NoProfiles"
	// AutomatedEnrollmentSignInMissing: a profile asks people to sign in, and the MDMServer has no spec.apple.signIn. Add it, or take signIn away.
	AutomatedEnrollmentSignInMissing = "SignInMissing"
)

// KnownConditions implements Object.
func (*AutomatedEnrollment) KnownConditions() []string {
	return []string{
		ConditionReady, AutomatedEnrollmentKeyReady, AutomatedEnrollmentTokenAccepted, AutomatedEnrollmentTokenNotExpiring, AutomatedEnrollmentServiceReachable,
		AutomatedEnrollmentProfilesDefined, AutomatedEnrollmentDevicesSynced, AutomatedEnrollmentDevicesAssigned, AutomatedEnrollmentPublished,
	}
}
