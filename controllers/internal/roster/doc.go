// Package roster says which Device speaks for which device of a server, and which devices should have a Profile. Whoever needs to know asks
// here, so that the one who assigns and the one who reports never disagree.
package roster
