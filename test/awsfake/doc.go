// Package awsfake is a small stand-in for AWS Key Management Service and for the part of AWS STS that turns a web identity token into credentials.
// It speaks their wire protocols, JSON 1.1 and the query protocol, so that the real SDK talks to it:
//
//   - KMS: GetPublicKey, Sign (PKCS #1 v1.5 with SHA-256; PSS with SHA-256, SHA-384, SHA-512; MessageType DIGEST) and Decrypt (OAEP with SHA-1 or SHA-256).
//     A request must bear a SigV4 Authorization header for the service kms with credentials that the fake knows; the signature itself is not
//     computed again.
//   - STS: AssumeRoleWithWebIdentity. The token must be a JWT for the audience sts.amazonaws.com that has not expired; its signature is not checked.
//
// Sources: AWS KMS API Reference, AWS STS API Reference, "AWS Signature Version 4".
package awsfake
