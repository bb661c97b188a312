// Package profile renders the enrolment profile and signs profiles for delivery.
package profile
