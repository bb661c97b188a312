// Package cli is what all verbs of kubectl mdm share: the way to the cluster, errors that say what to do, files, and completion of names.
package cli
