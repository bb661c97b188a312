// Package scep issues device identities over SCEP (RFC 8894): one certificate for one one-time challenge, bound to the key that asked first.
//
// It implements micromdm/scep's Service itself and parses messages with smallstep/scep, since the service that comes with micromdm/scep
// hides the message type and the signer from whoever decides, and trusts the shape of messages.
package scep
