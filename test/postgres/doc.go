// Package postgres runs real PostgreSQL servers for tests: private clusters on a socket and a loopback port.
package postgres
