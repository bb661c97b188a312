// Package loop is the one engine behind every controller: paused annotation, finalizer, ordered steps, Ready roll-up, kstatus, one status
// patch and events on transitions. A controller brings its steps and nothing else.
package loop
