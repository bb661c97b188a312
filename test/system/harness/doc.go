// Package harness installs KubeMDM with Helm on a real cluster and walks it from an empty namespace to managed devices. The demo shows the
// walk, the system tests assert it and go on from its end.
package harness
