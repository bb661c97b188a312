// Package depfake is a strict stand-in for Apple's service for Automated Device Enrollment ("DEP" on the wire), the part of Apple Business Manager
// that gives out its tokens, and the activation that gives a device its profile. It shares no code with the clients it is for.
//
// Sources: "Device Assignment" and "Authenticating with the Automated Device Enrollment program" (Apple Developer Documentation), the older Mobile
// Device Management Protocol Reference for the answers 401 UNAUTHORIZED (a session that ended) and 403 FORBIDDEN (one that never was), and what
// Apple's own simulator wants: quoted strings as errors, a content type on GET /session.
//
// Where Apple's documentation names no code the fake has its own: PROTOCOL_VERSION_INVALID, CONTENT_TYPE_INVALID, LIMIT_INVALID and
// DEVICE_LIMIT_EXCEEDED (all 400), and 404 NOT_FOUND for an assignment of an unknown profile. It is stricter than Apple may be in refusing what
// Apple only advises against: lists of more than 1,000 serial numbers, limits outside of 100 to 1,000, requests without X-Server-Protocol-Version,
// profiles with unknown or with empty fields.
package depfake
