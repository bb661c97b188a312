// Package pin is "kubectl mdm pin": the PINs of Macs that were locked or erased.
package pin
