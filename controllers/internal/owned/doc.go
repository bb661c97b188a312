// Package owned builds the objects that an MDMServer owns, as pure functions of its spec, and applies them.
package owned
