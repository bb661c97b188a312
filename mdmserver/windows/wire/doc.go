// Package wire holds what Windows devices and the server say to each other as bytes: SOAP messages of enrolment, provisioning documents and SyncML. It
// does no I/O and decides nothing.
package wire
