// Package plugin holds the tests of kubectl mdm on a real API server: what only that can say, such as what becomes of an object that several people write.
package plugin
