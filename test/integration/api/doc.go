// Package api holds the tests of the kinds on a real API server: what it accepts and refuses, with webhooks and in the words people read.
package api
