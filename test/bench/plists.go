package main

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const (
	plistHead = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
`
	plistEnd          = "</dict></plist>\n"
	profileIdentifier = "io.example.wifi"
)

// queries are what both servers ask devices for.
var queries = []string{"UDID", "SerialNumber", "DeviceName", "OSVersion", "BuildVersion", "ModelName", "Model", "ProductName"}

// enrolmentProfile is the one that NanoMDM's devices get. Each has a certificate with a name of its own: scepserver gives out a name once.
func enrolmentProfile() []byte {
	return []byte(plistHead + `<key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>com.example.bench</string><key>PayloadUUID</key><string>0E1B2B0C-6B6B-4B4B-9C7C-000000000001</string>
<key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.security.scep</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>com.example.bench.scep</string><key>PayloadUUID</key><string>0E1B2B0C-6B6B-4B4B-9C7C-000000000002</string>
<key>PayloadContent</key><dict><key>URL</key><string>https://` + scepHost + `/scep</string><key>Challenge</key><string>` + secret + `</string>
<key>Subject</key><array><array><array><string>CN</string><string>` + serialNumber + `</string></array></array></array></dict>
</dict><dict>
<key>PayloadType</key><string>com.apple.mdm</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>com.example.bench.mdm</string><key>PayloadUUID</key><string>0E1B2B0C-6B6B-4B4B-9C7C-000000000003</string>
<key>IdentityCertificateUUID</key><string>0E1B2B0C-6B6B-4B4B-9C7C-000000000002</string>
<key>ServerURL</key><string>https://` + serverfiles.Host + `/mdm</string><key>Topic</key><string>` + serverfiles.Topic + `</string>
<key>AccessRights</key><integer>8191</integer><key>SignMessage</key><true/>
</dict></array>` + plistEnd)
}

// wifi is a profile with a network of this number.
func wifi(number int) []byte {
	return fmt.Appendf(nil, plistHead+`<key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>`+profileIdentifier+`</string><key>PayloadUUID</key><string>5a0c0f6e-54b6-4c2b-8f6e-0d6a2f6f0001</string>
<key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.wifi.managed</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>`+profileIdentifier+`.1</string><key>PayloadUUID</key><string>5a0c0f6e-54b6-4c2b-8f6e-0d6a2f6f0002</string>
<key>SSID_STR</key><string>network %d</string>
</dict></array>`+plistEnd, number)
}

func deviceInformation() []byte {
	return command("<key>RequestType</key><string>DeviceInformation</string><key>Queries</key><array><string>" + strings.Join(queries, "</string><string>") + "</string></array>")
}

func installProfile(profile []byte) []byte {
	return command("<key>RequestType</key><string>InstallProfile</string><key>Payload</key><data>" + base64.StdEncoding.EncodeToString(profile) + "</data>")
}

// command is one for NanoMDM's queue.
func command(fields string) []byte {
	return []byte(plistHead + "<key>Command</key><dict>" + fields + "</dict><key>CommandUUID</key><string>" + newUUID() + "</string>" + plistEnd)
}
