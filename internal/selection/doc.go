// Package selection says what selects which devices. Controllers obey it and "kubectl mdm diff" foretells by it, so that both mean the same. It holds
// no client and does no I/O.
package selection
