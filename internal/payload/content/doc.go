// Package content holds what rendering has in common on all platforms: where the parts of a payload come from, what it becomes, and how it says
// what is wrong.
package content
