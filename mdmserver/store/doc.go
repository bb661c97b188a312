// Package store keeps the rows of mdmserver/fleet in SQL. A query has one text that every dialect runs; what differs between databases
// (opening, locking, migrations, which errors mean "try later") is in one small type per dialect. storetest is the suite that each passes.
package store
