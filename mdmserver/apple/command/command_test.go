package command_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/apple/command"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	"github.com/kubemdm/kubemdm/test/golden"
)

var errSigning = errors.New("no certificate")

var encoder = command.Encoder{
	Sign: func(profile []byte) ([]byte, error) { return append([]byte("signed:"), profile...), nil },
	Renew: func(enrollmentID string, r fleet.Renewal) ([]byte, error) {
		return []byte(enrollmentID + " at " + r.Params.ServerURL + " by " + r.Challenge), nil
	},
}

var mac = adminapi.Device{
	EnrollmentID: "enrollment-1",
	SerialNumber: "C02<&>1",
	UDID:         "66ADE930",
	DeviceName:   `Ann's "Mac"`,
}

const rawCommand = `<plist version="1.0"><dict>
<key>RequestType</key><string>Settings</string>
<key>Settings</key><array><dict><key>Item</key><string>Bluetooth</string><key>Enabled</key><false/>
<key>Level</key><integer>-3</integer><key>Ratio</key><real>0.5</real><key>Blob</key><data>AQI=</data></dict></array>
</dict></plist>`

func action(requestType string, more func(*fleet.ActionDelivery)) fleet.Delivery {
	a := &fleet.ActionDelivery{Command: adminapi.AppleCommand{RequestType: requestType}}
	if more != nil {
		more(a)
	}
	return fleet.Delivery{Action: a}
}

func install(template string, sign bool) fleet.Delivery {
	return fleet.Delivery{Device: mac, Install: &fleet.Install{Template: []byte(template), Sign: sign}}
}

func TestEncode(t *testing.T) {
	for name, d := range map[string]fleet.Delivery{
		"install":        install("<string>$(device.serialNumber) $(device.udid) $(device.name) $(whoami)</string>", false),
		"install_signed": install("<string>plain</string>", true),
		"remove":         {Remove: &fleet.Remove{Identifier: "com.example.wifi"}},
		"renewal": {Device: mac, Renewal: &fleet.Renewal{
			Params:    fleet.EnrollmentParams{ServerURL: "https://mdm.example.com/apple/command"},
			Challenge: "again",
		}},
		"configured":          {Configured: &fleet.Configured{}},
		"restart":             action(adminapi.AppleRestartDevice, nil),
		"shut_down":           action(adminapi.AppleShutDownDevice, nil),
		"applications":        action(adminapi.AppleInstalledApplicationList, nil),
		"profiles":            action(adminapi.AppleProfileList, nil),
		"certificates":        action(adminapi.AppleCertificateList, nil),
		"security":            action(adminapi.AppleSecurityInfo, nil),
		"information_default": action(adminapi.AppleDeviceInformation, nil),
		"information": action(adminapi.AppleDeviceInformation, func(a *fleet.ActionDelivery) {
			a.Command.Queries = []string{"OSVersion"}
		}),
		"lock": action(adminapi.AppleDeviceLock, func(a *fleet.ActionDelivery) {
			a.PIN, a.Command.Message, a.Command.PhoneNumber = "012345", "Lost & found", "+41 44 668 18 00"
		}),
		"erase": action(adminapi.AppleEraseDevice, func(a *fleet.ActionDelivery) {
			a.PIN, a.Command.PreserveDataPlan, a.Command.DisallowProximitySetup = "012345", true, true
			a.Command.ObliterationBehavior = "DoNotObliterate"
		}),
		"erase_plain": action(adminapi.AppleEraseDevice, nil),
		"clear_passcode": action(adminapi.AppleClearPasscode, func(a *fleet.ActionDelivery) {
			a.UnlockToken = []byte("token")
		}),
		"install_application": action(adminapi.AppleInstallApplication, func(a *fleet.ActionDelivery) {
			a.Command.ManifestURL, a.Command.ManagementFlags = "https://example.com/app.plist", 1
		}),
		"install_enterprise_application": action(adminapi.AppleInstallEnterpriseApp, func(a *fleet.ActionDelivery) {
			a.Command.ManifestURL = "https://example.com/app.plist"
		}),
		"raw": action(adminapi.AppleRaw, func(a *fleet.ActionDelivery) { a.Command.Raw = []byte(rawCommand) }),
	} {
		t.Run(name, func(t *testing.T) {
			d.CommandUUID = "0E2B4A5C"
			got, err := encoder.Encode(d)
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, filepath.Join("testdata", name+".plist"), got)
		})
	}
}

func TestWhatCannotBeSent(t *testing.T) {
	unsigned := encoder
	unsigned.Sign = func([]byte) ([]byte, error) { return nil, errSigning }
	unsigned.Renew = func(string, fleet.Renewal) ([]byte, error) { return nil, errSigning }
	withRaw := func(raw string) fleet.Delivery {
		return action(adminapi.AppleRaw, func(a *fleet.ActionDelivery) { a.Command.Raw = []byte(raw) })
	}
	for name, c := range map[string]struct {
		delivery fleet.Delivery
		says     string
	}{
		"nothing":              {fleet.Delivery{}, "nothing to send"},
		"unknown variable":     {install("$(device.colour)", false), "unknown variable $(device.colour)"},
		"nameless variable":    {install("$(device.)", false), "unknown variable $(device.)"},
		"value not told":       {install("$(device.model)", false), "$(device.model), which this device has not told"},
		"cannot sign":          {install("plain", true), errSigning.Error()},
		"cannot renew":         {fleet.Delivery{Renewal: &fleet.Renewal{}}, errSigning.Error()},
		"unknown request type": {action("MakeCoffee", nil), `"MakeCoffee" is unknown`},
		"no unlock token":      {action(adminapi.AppleClearPasscode, nil), "no unlock token"},
		"raw without type":     {withRaw("<plist><dict></dict></plist>"), "RequestType"},
		"raw of numbers":       {withRaw("<plist><dict><key>RequestType</key><integer>1</integer></dict></plist>"), "RequestType"},
		"raw list":             {withRaw("<plist><array></array></plist>"), "RequestType"},
		"raw text":             {withRaw("hello"), "RequestType"},
		"raw bomb":             {withRaw(strings.Repeat("<dict><key>a</key>", 10000)), "nested too deeply"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := unsigned.Encode(c.delivery)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q; command:\n%s", err, c.says, got)
			}
		})
	}
}
