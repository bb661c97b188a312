package fleet

import "errors"

// Errors that protocol rooms turn into answers, each in one table. None of them may ever become a 401 on an Apple endpoint:
// a device may unenrol on it.
var (
	// ErrNotEnrolled: no enrolment of this device is live.
	ErrNotEnrolled = errors.New("not enrolled")
	// ErrWrongIdentity: the certificate was issued for another enrolment.
	ErrWrongIdentity = errors.New("the certificate belongs to another enrolment")
	// ErrSuperseded: the certificate was replaced by a renewal, or revoked with its enrolment.
	ErrSuperseded = errors.New("the certificate is superseded")
	// ErrReenrolmentBlocked: the identifier is enrolled and nothing allows a new identity to take it over.
	ErrReenrolmentBlocked = errors.New("the device is enrolled already and may not be taken over")
	// ErrTokenUnusable: the enrolment token is unknown, expired or exhausted. The cases wrap it and say which.
	ErrTokenUnusable  = errors.New("the enrolment token cannot be used")
	ErrTokenUnknown   = wrap(ErrTokenUnusable, "it is unknown")
	ErrTokenExpired   = wrap(ErrTokenUnusable, "it has expired")
	ErrTokenExhausted = wrap(ErrTokenUnusable, "it is used up")
	ErrTokenPlatform  = wrap(ErrTokenUnusable, "it is not for devices of this platform")
	ErrTokenDevice    = wrap(ErrTokenUnusable, "it is for another device")
	// ErrNotListed: the device is not one of the automated enrolment, or there is no such automated enrolment.
	ErrNotListed = errors.New("the device is not listed for the automated enrolment")
	// ErrChallenge: the SCEP challenge or sign-in ticket is unknown, expired or was redeemed with another key.
	ErrChallenge = errors.New("the challenge is unknown, expired or used")
	// ErrNotDue: the certificate of a Windows device is not to be renewed yet.
	ErrNotDue = errors.New("the renewal is not due")
	// ErrKeyReused: a renewal asks for a certificate of a key that had one before.
	ErrKeyReused = errors.New("the public key was certified before")
	// ErrUnavailable: the store cannot write or read now (disk full, locked, shutting down). Retry later; nothing was changed.
	ErrUnavailable = errors.New("the store is unavailable")
)

// About is a refusal and the object of the cluster that it is about, which may be told to whoever was refused: "token namespace/name", or "enrolment"
// and its ID.
type About struct {
	Subject string
	Err     error
}

func (a *About) Error() string { return a.Subject + ": " + a.Err.Error() }
func (a *About) Unwrap() error { return a.Err }

type wrapped struct {
	parent error
	text   string
}

func wrap(parent error, text string) error { return &wrapped{parent, text} }

func (w *wrapped) Error() string { return w.parent.Error() + ": " + w.text }
func (w *wrapped) Unwrap() error { return w.parent }
