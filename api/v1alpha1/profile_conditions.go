package v1alpha1

// Conditions of a Profile.
const (
	// ProfileAccepted is True when the spec makes sense and the server exists.
	ProfileAccepted = "Accepted"
	// ProfileRendered is True when everything the profile is made of was found and makes a profile.
	ProfileRendered = "Rendered"
	// ProfilePublished is True when the server has the current content and knows the devices that should have it.
	ProfilePublished = "Published"
	// ProfileConverged is True when every targeted device has the current content and no other device still has the profile. It is the fleet's
	// duty and no part of Ready.
	ProfileConverged = "Converged"
	// ProfileRemovalHeld is True while a removal from many devices waits for a person, and absent otherwise.
	ProfileRemovalHeld = "RemovalHeld"
)

// Reasons in the conditions of a Profile.
const (
	// ProfileUnreadable: what the profile is made of is not what it should be: an unsigned property list with the keys of every configuration profile,
	// or paths and values that Windows knows. The message says where; correct it there.
	ProfileUnreadable = "Unreadable"
	// ProfileForbiddenPayload: it holds an MDM payload, uses the identifier of an enrolment profile, or reaches a node of Windows that erases or unenrols
	// a device. Take it out: enrolment is the server's business, and a DeviceCommand erases.
	ProfileForbiddenPayload = "ForbiddenPayload"
	// ProfileTooLarge: the rendered profile is larger than 1 MiB. Split it into several Profiles.
	ProfileTooLarge = "TooLarge"
	// ProfileIdentifierConflict: another Profile of the server owns the PayloadIdentifier; the message names it. Change the identifier of one of them.
	ProfileIdentifierConflict = "IdentifierConflict"
	// ProfileNothingSelected: no device of the server matches. Check selector and excludeSelector against the labels of your Devices.
	ProfileNothingSelected = "NothingSelected"
	// ProfileRollingOut: some devices have not answered yet. Wait; the counters say how many.
	ProfileRollingOut = "RollingOut"
	// ProfileRefused: some devices refused it; status.failing repeats their reasons. Correct the profile; they are not asked again before.
	ProfileRefused = "Refused"
	// ProfileRemoving: some devices still have it and should not. Wait.
	ProfileRemoving = "Removing"
	// ProfileInstalled: every targeted device has it. Nothing to do.
	ProfileInstalled = "Installed"
	// ProfileTooManyRemovals: a change would take the profile from more devices than spec.removal.maxPercent allows. If it is meant, set
	// spec.removal.acknowledge to status.heldRemoval.token; if not, take the change of selector or labels back.
	ProfileTooManyRemovals = "TooManyRemovals"
)

// KnownConditions implements Object.
func (*Profile) KnownConditions() []string {
	return []string{ConditionReady, ProfileAccepted, ProfileRendered, ProfilePublished, ProfileConverged}
}
