// Package profiles is "kubectl mdm profile": how far profiles are on devices.
package profiles
