// Package enroll is "kubectl mdm enroll": a token, and what to do with it on a device.
package enroll
