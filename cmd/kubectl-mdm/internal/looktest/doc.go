// Package looktest runs verbs of kubectl mdm that only look, in tests, in a cluster with the objects that a test gives and at a fixed time.
package looktest
