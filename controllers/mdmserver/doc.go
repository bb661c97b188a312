// Package mdmserver runs the protocol server that an MDMServer declares, with every certificate and key it needs.
package mdmserver
