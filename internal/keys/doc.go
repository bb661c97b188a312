// Package keys uses RSA keys that never leave a KMS: a PKCS#11 token or AWS Key Management Service.
package keys
