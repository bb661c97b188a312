// Package admin serves the internal API of internal/adminapi, whose only implementer it is.
package admin
