// Package push wakes devices that have work waiting: it takes due channels from fleet, asks the vendor's push service, and reports what became
// of each push.
package push
