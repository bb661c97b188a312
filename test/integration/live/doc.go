// Package live asks the live view as people do: through a real API server that passes their requests on to a real manager, with a real protocol server
// and simulated devices behind it.
package live
