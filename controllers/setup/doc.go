// Package setup is the one list of controllers, with the cache, the indexes and the connections that they share.
package setup
