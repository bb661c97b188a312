// Package profile renders Profiles, publishes them to their server and counts how far the fleet is.
package profile
