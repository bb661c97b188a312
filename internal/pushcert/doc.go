// Package pushcert makes and judges what it takes to get a push certificate for device management from Apple: the certificate request, the
// vendor's signature over it, the file that is uploaded, and what comes back. It is pure: no I/O, no clock.
//
// Sources: "Setting up push notifications for your device management customers" (Apple Developer Documentation), RFC 2986, RFC 5280, RFC 8017.
package pushcert
