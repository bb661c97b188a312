// Package release is "kubectl mdm release": it lets a device enrol with a new identity.
package release
