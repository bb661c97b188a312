// Package pushvendor has the commands with which an MDM vendor gets its certificate from Apple and signs the requests of its customers. They work on
// files and keys in a KMS, and know no cluster.
package pushvendor
