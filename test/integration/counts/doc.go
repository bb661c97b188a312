// Package counts runs the whole operator on a real API server, with a real protocol server and simulated devices, and counts: what it writes for a
// fleet, what a killed manager leaves behind, how often a device is asked.
package counts
