// Package nanomdm runs a real NanoMDM, built from its module, on a real PostgreSQL: the server that a fleet moves away from. It needs PostgreSQL's programs
// (Debian package postgresql).
package nanomdm
