// Package manifest reads files, folders and standard input with objects in them, and remembers on which line each field stands.
package manifest
