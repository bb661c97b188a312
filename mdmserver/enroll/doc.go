// Package enroll is the web page at the server's address: it shows people how to enrol the device in front of them, takes their code or sends them to
// sign in, and hands out the enrolment profile (Apple) or the link that opens Windows' own dialogue. It has no script and loads nothing from elsewhere.
package enroll
