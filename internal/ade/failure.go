package ade

import "time"

// Kind is what sort of trouble a call ran into: one word, fit for a condition.
type Kind string

// The kinds of trouble.
const (
	// Terms: the organisation has new terms and conditions to accept (T_C_NOT_SIGNED).
	Terms Kind = "TermsNotAccepted"
	// Revoked: Apple does not take the token (any more), with a fresh session either.
	Revoked Kind = "TokenRevoked"
	// ClockSkewed: Apple does not take the token, and its clock and ours are more than five minutes apart.
	ClockSkewed Kind = "ClockSkewed"
	// Throttled: too many calls, or too many assignments of a device. RetryAfter says when to go on, if Apple does.
	Throttled Kind = "Throttled"
	// CursorExhausted: there is no page after this cursor, all were returned.
	CursorExhausted Kind = "CursorExhausted"
	// CursorInvalid: Apple does not know the cursor: fetch anew.
	CursorInvalid Kind = "CursorInvalid"
	// CursorExpired: the cursor is older than seven days: fetch anew.
	CursorExpired Kind = "CursorExpired"
	// ProfileNotFound: Apple does not know the profile: define it anew.
	ProfileNotFound Kind = "ProfileNotFound"
	// Unavailable: the service cannot be reached, is out of order, or something else answers in its place. Try again.
	Unavailable Kind = "ServiceUnavailable"
	// Refused: any other refusal.
	Refused Kind = "ServiceRefused"
)

// Failure is the error of every call that was made.
type Failure struct {
	Kind Kind
	// Status is that of HTTP; 0 without an answer.
	Status int
	// Code is Apple's word for the trouble, such as T_C_NOT_SIGNED, if it gave one.
	Code string
	// RetryAfter is how long Apple asks to wait; 0 if it does not say.
	RetryAfter time.Duration
	// Message is for people: what is wrong, why, and what to do. It has no secret.
	Message string

	cause error
}

// Error is the message.
func (f *Failure) Error() string { return f.Message }

// Unwrap is what went wrong below, such as the end of a context; nil if Apple answered.
func (f *Failure) Unwrap() error { return f.cause }
