// Package all has the system tests that take minutes: killed and restarted parts, Helm's life cycle.
package all
