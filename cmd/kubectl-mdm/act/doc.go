// Package act is the verbs of kubectl mdm that have devices do something: lock, restart, shutdown, wipe, unenroll and push.
package act
