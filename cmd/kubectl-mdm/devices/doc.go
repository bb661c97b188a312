// Package devices is "kubectl mdm devices" and "kubectl mdm device": a table of devices, and all that is known of one.
package devices
