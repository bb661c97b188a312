// Package agent asserts, under Wine and against a real server, what the agent does as a program of Windows. The rest of Windows is in test/agentstub and
// in a simulated PC.
package agent
