// Package fleet is the heart of a protocol server: enrolments, desired state, actions, results and changes. It decides what a device gets
// next and what its answers mean. Pure domain over a Store interface: no HTTP, no SQL, no protocol encoding.
package fleet
