package importer_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/importer"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

func profileOf(payload string) []byte {
	return []byte(`<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string>
<key>PayloadIdentifier</key><string>com.example.enroll</string><key>PayloadContent</key><array>` + payload + `</array></dict></plist>`)
}

const mdmPayload = `<dict><key>PayloadType</key><string>com.apple.security.scep</string></dict>
<dict><key>PayloadType</key><string>com.apple.mdm</string><key>ServerURL</key><string>https://mdm.example.com/mdm</string><key>Topic</key><string>com.apple.mgmt.External.1</string>
<key>AccessRights</key><integer>8191</integer><key>SignMessage</key><true/></dict>`

var read = importer.Profile{
	Identifier: "com.example.enroll", ServerURL: "https://mdm.example.com/mdm", CheckInURL: "https://mdm.example.com/mdm", Topic: "com.apple.mgmt.External.1",
	AccessRights: 8191, SignMessage: true,
}

// A profile without a CheckInURL makes devices check in at the ServerURL; a signature is no obstacle.
func TestReadProfile(t *testing.T) {
	plain := profileOf(mdmPayload)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	signer, err := devicesim.SelfSigned(key, pkix.Name{CommonName: "administrator"})
	must(t, err)
	message, err := pkcs7.NewSignedData(plain)
	must(t, err)
	must(t, message.AddSigner(signer.Certificate, key, pkcs7.SignerInfoConfig{}))
	signed, err := message.Finish()
	must(t, err)
	for name, content := range map[string][]byte{"plain": plain, "signed": signed} {
		if got, err := importer.ReadProfile(content); err != nil || *got != read {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestReadProfileRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"no MDM payload": {profileOf(`<dict><key>PayloadType</key><string>com.apple.wifi.managed</string></dict>`), "no payload com.apple.mdm"},
		"no identifier":  {[]byte(strings.ReplaceAll(string(profileOf(mdmPayload)), "com.example.enroll", "")), "no PayloadIdentifier"},
		"broken":         {[]byte("<plist><dict>"), "it is no profile"},
		"binary":         {[]byte("bplist00"), "neither a profile nor a signed one"},
	} {
		if _, err := importer.ReadProfile(tc.content); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tc.want)
		}
	}
}
