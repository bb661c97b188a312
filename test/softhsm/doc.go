// Package softhsm makes PKCS#11 tokens for tests with SoftHSM 2 (Debian package softhsm2).
package softhsm
