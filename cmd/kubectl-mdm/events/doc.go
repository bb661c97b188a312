// Package events is "kubectl mdm events": what happens to devices, as it happens.
package events
