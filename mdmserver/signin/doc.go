// Package signin sends people to an OpenID Connect issuer before their device enrols (OpenID Connect Core 1.0, the authorization code flow with
// PKCE), and says whom the issuer saw. What comes of it is for the platform that asked.
package signin
