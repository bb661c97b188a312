// Package enrollmenttoken makes the tokens by which devices may enrol and tells the server their hashes.
package enrollmenttoken
