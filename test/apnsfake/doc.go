// Package apnsfake is a strict stand-in for Apple's push service for MDM: HTTP/2 with client certificates, every header and the body checked. It
// can tell a simulated device that it was pushed to.
//
// Sources: "Sending notification requests to APNs" and "Handling notification responses from APNs" (Apple Developer Documentation).
package apnsfake
