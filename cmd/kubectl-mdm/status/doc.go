// Package status is "kubectl mdm status": one screen that says how a fleet and its servers are.
package status
