package adminapi

import (
	"errors"
	"fmt"
)

// Code is the machine-readable reason of an Error.
type Code string

// The codes of the internal API.
const (
	CodeInvalid            Code = "Invalid"            // 400: the request breaks the contract; Message says where
	CodeNotFound           Code = "NotFound"           // 404
	CodeIdentifierConflict Code = "IdentifierConflict" // 409: another artifact owns the identifier; Owner names it
	CodeSpecConflict       Code = "SpecConflict"       // 409: a live action has this key and another spec
	CodeAnotherManager     Code = "AnotherManager"     // 409: a manager with a higher lease epoch was seen
	CodeTooLarge           Code = "TooLarge"           // 413
	CodeUnavailable        Code = "Unavailable"        // 503: the store cannot answer now (disk full, shutting down); retry
	CodeInternal           Code = "Internal"           // 500
)

// Error is the body of every answer that is not 2xx.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Owner is the artifact that owns the identifier (CodeIdentifierConflict).
	Owner Key `json:"owner,omitempty"`
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// CodeOf returns the code of an Error in err's chain, or "".
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
