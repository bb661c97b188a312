// Package mdmcert asks mdmcert.download to sign a request for a push certificate as an MDM vendor, and opens the reply, which the service mails.
//
// Sources: the protocol as mdmctl of micromdm speaks it (https://github.com/micromdm/micromdm, cmd/mdmctl/mdmcert.download.go) and the
// instructions at https://mdmcert.download/instructions.
package mdmcert
