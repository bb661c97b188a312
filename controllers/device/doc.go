// Package device keeps Devices and the enrolments they stand for together: it discovers, matches, labels and releases them, and tells each
// server which Profiles its devices should have.
package device
