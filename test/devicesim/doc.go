// Package devicesim simulates Apple devices. A Device holds a real RSA key, gets its certificate over SCEP and speaks the MDM
// protocol to a server as strictly as a real one: it refuses what a real device refuses, so a server that satisfies it has kept to
// the protocol. Everything a device does can be made to go wrong by a script (Rule) or by the network in between (Network).
//
//	pushes := devicesim.NewPushes()
//	mac, err := devicesim.New(devicesim.Options{Hardware: devicesim.Mac("SIM", 1), Roots: roots, Waker: pushes})
//	err = mac.Enroll(ctx, "https://mdm.example.com/enroll/TOKEN")
//	err = mac.Idle(ctx) // one connection: every command that is waiting
//	profiles := mac.Profiles()
package devicesim

import "github.com/smallstep/pkcs7"

// Apple devices encrypt and sign with AES and SHA-256 where a SCEP server offers them. The library's own defaults, DES and SHA-1,
// can only be changed for the whole process; mdmserver/apple sets the same values.
func init() {
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES128CBC
	if err := pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256); err != nil {
		panic(err)
	}
}
