package v1alpha1

// Conditions of an EnrollmentToken.
const (
	// EnrollmentTokenPublished is True when the Secret holds the token and the server knows its hash.
	EnrollmentTokenPublished = "Published"
	// EnrollmentTokenUsable is True while a device may enrol with the token: not expired and not used up. It is not part of Ready, since a token
	// that has served its time is in order.
	EnrollmentTokenUsable = "Usable"
)

// Reasons in the conditions of an EnrollmentToken.
const (
	// EnrollmentTokenDeviceNotFound: spec.deviceRef names no Device in this namespace. Create it or correct the name.
	EnrollmentTokenDeviceNotFound = "DeviceNotFound"
	// EnrollmentTokenDeviceUnidentified: the Device of spec.deviceRef has neither serialNumber nor udid to bind the token to. Set one of them on it.
	EnrollmentTokenDeviceUnidentified = "DeviceUnidentified"
	// EnrollmentTokenPlatformNotServed: spec.platforms names a platform that the MDMServer does not serve. Serve it there (spec.apple, spec.windows), or
	// take it off the token.
	EnrollmentTokenPlatformNotServed = "PlatformNotServed"
	// EnrollmentTokenSecretTaken: the Secret exists and belongs to something else. Choose another spec.secretName in a new token, or delete that Secret.
	EnrollmentTokenSecretTaken = "SecretTaken"
	// EnrollmentTokenExpired: spec.expiresAt has passed. Set a later time, or delete the token.
	EnrollmentTokenExpired = "Expired"
	// EnrollmentTokenUsedUp: spec.maxUses enrolments were made with it. Raise the number, or delete the token.
	EnrollmentTokenUsedUp = "UsedUp"
)

// KnownConditions implements Object.
func (*EnrollmentToken) KnownConditions() []string {
	return []string{ConditionReady, EnrollmentTokenPublished, EnrollmentTokenUsable}
}
