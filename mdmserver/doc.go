// Package mdmserver puts the rooms of a protocol server together: configuration, store, fleet, listeners, tickers and a graceful stop.
package mdmserver
