// Package envelope seals a file for a key in a KMS, so that the file may lie where secrets may not.
package envelope
