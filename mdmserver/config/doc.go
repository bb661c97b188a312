// Package config reads a server's configuration file and keeps the credentials of its mounted folders up to date while it runs. A bad new
// pair never replaces a good one that is in use.
package config
