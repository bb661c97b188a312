// Package certs reads the certificates that controllers judge. It does no I/O.
package certs
