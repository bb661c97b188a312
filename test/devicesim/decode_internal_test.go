package devicesim

import "testing"

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
