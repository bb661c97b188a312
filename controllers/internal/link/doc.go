// Package link keeps one connection to every MDM server: a mirror of the server's rows, a change feed as a controller-runtime source, and
// the calls that write. Controllers never wait for a server: without a connection they say so and are woken by the source.
package link
