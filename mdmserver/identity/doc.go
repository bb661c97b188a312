// Package identity decides which device speaks: it takes the certificate out of a request's Mdm-Signature, holds it against the trusted
// generations of the device-identity CA and puts a fleet.Identity into the request's context. No other package decides an identity.
package identity
