// Package report is "kubectl mdm report": a bundle of what support needs to see, without secrets.
package report
