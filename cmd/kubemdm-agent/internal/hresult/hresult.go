// Package hresult puts into words what Windows answers when it is asked to enrol or to leave (mdmregistration.h; MS-MDE2 section 3.4.4).
package hresult

import "fmt"

// Code is an HRESULT. Zero is success.
type Code uint32

// OK is success.
const OK Code = 0

// AlreadyEnrolled is what Windows says when it is managed, by this server or any other.
const AlreadyEnrolled Code = 0x8018000A

// The range of MENROLL_E_HTTP: the low part is an HTTP status.
const (
	httpFirst Code = 0x80190000
	httpLast  Code = 0x801903FF
)

// words say what a code means and what to do about it.
var words = map[Code]string{
	0x80180001: "the server found the enrolment message malformed",
	0x80180002: "the server refused the credential: the agent's node key is unknown to it",
	0x80180003: "the server does not let this device enrol",
	0x80180004: "the server refused the certificate request",
	0x80180005: "the server failed while it enrolled the device: its log says why",
	0x80180006: "the server had an internal error: its log says why",
	0x80180007: "the server found the security header invalid",
	0x80180008: "Windows names no reason: see the event log DeviceManagement-Enterprise-Diagnostics-Provider",
	0x80180009: "another enrolment is under way: it is tried again later",
	AlreadyEnrolled: "Windows is enrolled already, here or in another management (which may be a leftover): disconnect it in Settings > Accounts > " +
		"Access work or school",
	0x8018000B: "Windows is not enrolled, so there is nothing to leave",
	0x8018000D: "the certificate that the server issued is not valid at this PC's time: check the clock",
	0x8018000E: "Windows asks for a password, which an agent does not have",
	0x8018000F: "Windows could not authenticate at the server",
	0x80180010: "the server cannot be reached: check network, DNS and proxy of the machine account",
	0x80180012: "Windows does not trust the server's certificate: it must come from a public CA, or its root be in the machine's trusted roots",
	0x80180013: "the server lets no more devices enrol",
	0x80180014: "the server does not support this kind of device",
	0x80180015: "the server does not support this kind of enrolment",
	0x80180016: "the device is not due for renewal",
	0x80180017: "the server is under maintenance: it is tried again later",
	0x80180018: "the server found no licence for the user",
	0x80180019: "the server rejected the enrolment data",
	0x8018001A: "the server redirects to an address without TLS",
	0x80180032: "the server refused with a message of its own: see the event log DeviceManagement-Enterprise-Diagnostics-Provider",
	0x80010106: "COM is set up in another way on this thread, which is a defect of the agent",
	0x80070005: "access is denied: the agent must run as a service, or elevated",
	0x80072F8F: "the server's certificate has another name or is outside its time: check the server's URL and this PC's clock",
	0x80072EE7: "the server's name cannot be resolved",
	0x80072EFD: "no connection to the server",
}

// Error gives the code and its meaning.
func (c Code) Error() string {
	text, known := words[c]
	switch {
	case known:
	case c == httpFirst+200:
		text = "the server answered with success, but with nothing that Windows understands"
	case c > httpFirst && c <= httpLast:
		text = fmt.Sprintf("the server answered with HTTP status %d", c-httpFirst)
	default:
		text = "an error that the agent does not know"
	}
	return fmt.Sprintf("0x%08X: %s", uint32(c), text)
}

// Err is nil for success.
func (c Code) Err() error {
	if c == OK {
		return nil
	}
	return c
}
