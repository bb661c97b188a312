// Package chaos kills real processes in the middle of their work and counts what is left.
package chaos
