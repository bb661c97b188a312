// Package identity decides which device speaks. An Apple device signs each message in Mdm-Signature; a Windows device proves itself by a signature too, by
// a client certificate in TLS or from a trusted proxy, or by an OMA-DM digest. Certificates are held against the trusted generations of the platform's CA.
// No other package decides an identity.
package identity
