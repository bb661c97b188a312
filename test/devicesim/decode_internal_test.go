package devicesim

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/smallstep/pkcs7"
)

func TestCheckCiphers(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := SelfSigned(key, pkix.Name{CommonName: "CA"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		cipher int
		digest asn1.ObjectIdentifier
		good   bool
	}{
		"AES and SHA-256": {pkcs7.EncryptionAlgorithmAES128CBC, pkcs7.OIDDigestAlgorithmSHA256, true},
		"DES":             {pkcs7.EncryptionAlgorithmDESCBC, pkcs7.OIDDigestAlgorithmSHA256, false},
		"SHA-1":           {pkcs7.EncryptionAlgorithmAES128CBC, pkcs7.OIDDigestAlgorithmSHA1, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := checkCiphers(reply(t, signer, test.cipher, test.digest)); (err == nil) != test.good {
				t.Errorf("good: %v, but %v", test.good, err)
			}
		})
	}
}

// reply is a SCEP reply without its attributes.
func reply(t *testing.T, signer *Identity, cipher int, digest asn1.ObjectIdentifier) []byte {
	t.Helper()
	usual := pkcs7.ContentEncryptionAlgorithm
	pkcs7.ContentEncryptionAlgorithm = cipher
	defer func() { pkcs7.ContentEncryptionAlgorithm = usual }()
	envelope, err := pkcs7.Encrypt([]byte("content"), []*x509.Certificate{signer.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := pkcs7.NewSignedData(envelope)
	if err != nil {
		t.Fatal(err)
	}
	signed.SetDigestAlgorithm(digest)
	if err := signed.AddSigner(signer.Certificate, signer.Key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	der, err := signed.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func FuzzDecodeCommand(f *testing.F) {
	f.Add([]byte(`<plist><dict><key>CommandUUID</key><string>1</string><key>Command</key><dict><key>RequestType</key>` +
		`<string>InstallProfile</string><key>Payload</key><data>PHBsaXN0Lz4=</data></dict></dict></plist>`))
	f.Add([]byte(`<plist><dict><key>CommandUUID</key><string>1</string><key>Command</key><dict><key>RequestType</key>` +
		`<string>DeviceLock</string><key>PIN</key><integer>1</integer></dict></dict></plist>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd, err := decodeCommand(data)
		if err == nil && (cmd.CommandUUID == "" || cmd.Command.RequestType == "") {
			t.Error("decoded a command that cannot be answered")
		}
	})
}

func FuzzEnvelopeCipher(f *testing.F) {
	f.Add([]byte{0x30, 0x80, 0x06, 0x09})
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = envelopeCipher(data) })
}
