// Package agent serves the agents on Windows PCs, which make Windows enrol, leave, and start management sessions. See internal/agentapi for the wire.
package agent
