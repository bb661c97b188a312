// Package apns holds the verbs of kubectl mdm apns: the push certificate from its request through Apple's portal to the servers that use it.
package apns
