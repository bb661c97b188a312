// Package applepki is a strict stand-in for Apple's certificate authorities and for the portal https://identity.apple.com/pushcert, which turns
// requests that an MDM vendor has signed into push certificates.
//
// Sources: "Setting up push notifications for your device management customers" (Apple Developer Documentation) and the certificates at
// https://www.apple.com/certificateauthority. It shares no code with internal/pushcert, so that a mistake there is found here.
package applepki
