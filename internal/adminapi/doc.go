// Package adminapi is the wire contract of a protocol server's internal API: its paths, types, errors and client.
//
// The manager is the only caller and mdmserver/admin the only implementer. Every call down is an idempotent PUT of
// desired state, every fact up is re-read state, so a lost message costs time and never truth. The API is served over
// mutual TLS on a listener of its own. The package uses the standard library only.
package adminapi
