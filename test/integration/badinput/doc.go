// Package badinput gives wrong things to the whole manager, on a real API server and with a real protocol server, and looks at what it tells
// people, at what the fleet keeps, and at whether it goes on by itself once the input is right.
package badinput
