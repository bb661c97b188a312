// Package command turns what a device gets next into the property list of an Apple MDM command.
package command
