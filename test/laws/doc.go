// Package laws keeps docs/laws.md true, and holds the laws that are about the code itself.
package laws
