package store

import (
	"errors"

	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

// Outage is why the medium did not do what it was asked for. It is a fleet.ErrUnavailable.
type Outage struct {
	// Reason is in CamelCase, Message is for the administrator: what is wrong, and what to do. Neither holds a secret.
	Reason, Message string
	err             error
}

func (o *Outage) Error() string { return fleet.ErrUnavailable.Error() + ": " + o.Message }

// Unwrap returns fleet.ErrUnavailable and the cause.
func (o *Outage) Unwrap() []error { return []error{fleet.ErrUnavailable, o.err} }

// Reasons. reasonUnavailable is that of what has no better one.
const (
	reasonUnavailable   = "StoreUnavailable"
	reasonClosed        = "StoreClosed"
	reasonFull          = "StorageFull"
	reasonNewerSchema   = "NewerSchema"
	reasonReadOnly      = "ReadOnly"
	reasonUnreachable   = "DatabaseUnreachable"
	reasonHost          = "DatabaseHostNotFound"
	reasonStarting      = "DatabaseStarting"
	reasonShuttingDown  = "DatabaseShuttingDown"
	reasonLost          = "ConnectionLost"
	reasonCredentials   = "DatabaseCredentialsInvalid" //nolint:gosec // a reason
	reasonRefused       = "DatabaseLoginRefused"
	reasonTLS           = "DatabaseTLSFailed"
	reasonCertificate   = "DatabaseCertificateRefused"
	reasonNoDatabase    = "DatabaseNotFound"
	reasonPrivileges    = "DatabasePrivilegesMissing"
	reasonConnections   = "TooManyConnections"
	reasonBusy          = "TooFewConnections"
	reasonSlow          = "DatabaseSlow"
	reasonLocked        = "DatabaseLocked"
	reasonConflict      = "DatabaseConflict"
	reasonStandby       = "DatabaseIsStandby"
	reasonUnsuitable    = "DatabaseUnsuitable"
	reasonMoved         = "DatabaseReplaced"
	reasonAnotherServer = "DatabaseOfAnotherServer"
	reasonDamaged       = "DatabaseDamaged"
)

// Problem returns the reason and the message of an error of a store.
func Problem(err error) (reason, message string) {
	if o := (*Outage)(nil); errors.As(err, &o) {
		return o.Reason, o.Message
	}
	return reasonUnavailable, err.Error()
}

// reasonOf is that of an Outage, "" of other errors and of none.
func reasonOf(err error) string {
	if o := (*Outage)(nil); errors.As(err, &o) {
		return o.Reason
	}
	return ""
}
