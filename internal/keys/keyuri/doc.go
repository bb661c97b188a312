// Package keyuri reads the URIs that name a key in a KMS. It does no I/O.
package keyuri
