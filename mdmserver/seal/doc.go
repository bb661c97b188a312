// Package seal encrypts what a protocol server stores: AES-256-GCM, the key's id in front of each value, several keys to read and one to write.
package seal
