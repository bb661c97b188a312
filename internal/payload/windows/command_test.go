package windows_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/payload/windows"
)

func TestCommands(t *testing.T) {
	for name, action := range map[string]v1alpha1.CommandAction{
		"command-information": {Type: v1alpha1.ActionDeviceInformation, DeviceInformation: &v1alpha1.DeviceInformationAction{Queries: []string{"UDID"}}},
		"command-restart":     {Type: v1alpha1.ActionRestart},
		"command-unenroll":    {Type: v1alpha1.ActionUnenroll},
		"command-msi": {Type: v1alpha1.ActionInstallMSI, InstallMSI: &v1alpha1.InstallMSIAction{
			ProductCode: "{6F7CB29F-1319-4816-B345-0856916EB801}", Version: "1.2.3", URL: "https://example.com/a.msi?x=1&y=2", SHA256: strings.Repeat("ab", 32),
			CommandLine: `/quiet TITLE="<us>"`, TimeoutMinutes: 30, Retries: new(int32(3)), RetryIntervalMinutes: 5,
		}},
		"command-raw": {Type: v1alpha1.ActionRaw, Raw: &v1alpha1.RawAction{Windows: &v1alpha1.RawWindowsCommand{
			Verb: v1alpha1.RawReplace, LocURI: lockTimeout, Format: v1alpha1.FormatInteger, Data: new(" 15 "),
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := windows.Command(&action, content.Sources{})
			if err != nil || windows.Unsupported(&action) != "" {
				t.Fatalf("error %v, unsupported: %q", err, windows.Unsupported(&action))
			}
			text, err := json.MarshalIndent(got, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			compare(t, name, append(text, '\n'))
		})
	}
}

// Microsoft's names of the nodes: RemoteWipe CSP.
func TestEveryMethodOfAWipeHasItsNode(t *testing.T) {
	for method, node := range map[v1alpha1.WipeMethod]string{
		"":                                    "doWipe",
		v1alpha1.WipeStandard:                 "doWipe",
		v1alpha1.WipeProtected:                "doWipeProtected",
		v1alpha1.WipeKeepProvisionedData:      "doWipePersistProvisionedData",
		v1alpha1.WipeKeepUserData:             "doWipePersistUserData",
		v1alpha1.WipeCloud:                    "doWipeCloud",
		v1alpha1.WipeCloudKeepProvisionedData: "doWipeCloudPersistProvisionedData",
		v1alpha1.WipeCloudKeepUserData:        "doWipeCloudPersistUserData",
	} {
		got, err := windows.Command(&v1alpha1.CommandAction{Type: v1alpha1.ActionWipe, Wipe: &v1alpha1.WipeAction{Method: method}}, content.Sources{})
		if err != nil || got.RequestType != adminapi.WindowsWipe || len(got.Commands) != 1 || got.Commands[0].Verb != adminapi.VerbExec ||
			got.Commands[0].LocURI != "./Device/Vendor/MSFT/RemoteWipe/"+node {
			t.Errorf("%q: %+v, %v", method, got, err)
		}
	}
}

func TestActionsThatWindowsLacksSayWhy(t *testing.T) {
	for _, action := range []v1alpha1.ActionType{
		v1alpha1.ActionLock, v1alpha1.ActionShutDown, v1alpha1.ActionClearPasscode, v1alpha1.ActionInstalledApplications, v1alpha1.ActionProfileList,
		v1alpha1.ActionCertificateList, v1alpha1.ActionSecurityInfo, v1alpha1.ActionInstallApplication,
	} {
		a := &v1alpha1.CommandAction{Type: action}
		if reason := windows.Unsupported(a); !strings.HasPrefix(reason, "Windows ") {
			t.Errorf("%s: %q", action, reason)
		}
		if _, err := windows.Command(a, content.Sources{}); err == nil {
			t.Errorf("%s has a command all the same", action)
		}
	}
	raw := &v1alpha1.CommandAction{Type: v1alpha1.ActionRaw, Raw: &v1alpha1.RawAction{Plist: "<plist/>"}}
	if windows.Unsupported(raw) == "" {
		t.Error("a raw command for Apple devices alone")
	}
	if reason := windows.Unsupported(&v1alpha1.CommandAction{Type: v1alpha1.ActionLock}); !strings.Contains(reason, "phones only") {
		t.Errorf("lock: %q", reason)
	}
}

func TestCertificateGoesUnderItsThumbprint(t *testing.T) {
	der := selfSigned(t)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	ref := v1alpha1.KeyReference{Name: "ca", Key: "tls.crt"}
	install := func(text []byte) (*adminapi.WindowsCommand, error) {
		action := &v1alpha1.CommandAction{Type: v1alpha1.ActionInstallCertificate, InstallCertificate: &v1alpha1.InstallCertificateAction{
			Store: v1alpha1.StoreTrustedPublisher, Certificate: v1alpha1.ContentSource{SecretRef: &ref},
		}}
		if refs := windows.CommandReferences(action); len(refs.Secrets) != 1 || refs.Secrets[0] != ref {
			t.Errorf("refers to %v", refs)
		}
		return windows.Command(action, content.Sources{Secrets: map[v1alpha1.KeyReference][]byte{ref: text}})
	}
	got, err := install(text)
	if err != nil {
		t.Fatal(err)
	}
	c := got.Commands[0]
	want := fmt.Sprintf("./Device/Vendor/MSFT/RootCATrustedCertificates/TrustedPublisher/%X/EncodedCertificate", sha1.Sum(der))
	if len(got.Commands) != 1 || c.LocURI != want || c.Format != "b64" || c.Data != base64.StdEncoding.EncodeToString(der) {
		t.Errorf("%+v", got)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hunter2")})
	for name, bad := range map[string][]byte{
		"nothing": nil, "DER": der, "a key": key, "a key too": append(text, key...), "two": append(text, text...),
		"no certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("hunter2")}),
	} {
		_, err := install(bad)
		expect(t, name, err, v1alpha1.ProfileUnreadable, "installCertificate.certificate", "certificate")
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func selfSigned(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestRawCommands(t *testing.T) {
	const unreadable, forbidden = v1alpha1.ProfileUnreadable, v1alpha1.ProfileForbiddenPayload
	for name, c := range map[string]struct {
		raw                 v1alpha1.RawWindowsCommand
		reason, field, says string
	}{
		"read":             {raw: v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawGet, LocURI: "./Vendor/MSFT/RemoteWipe/LastError"}},
		"read a structure": {raw: v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawGet, LocURI: "./Vendor/MSFT/A?list=StructData"}},
		"for a user":       {raw: v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawAdd, LocURI: wallpaper, Data: new("https://example.com")}},
		"run":              {raw: v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawExec, LocURI: "./Vendor/MSFT/Update/ScanNow"}},
		"wipe": {
			v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawExec, LocURI: "./Vendor/MSFT/RemoteWip%65/doWipe"}, forbidden, "raw.windows.locURI", "type Wipe",
		},
		"unenrol": {
			v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawExec, LocURI: "./Device/Vendor/MSFT/DMClient/Provider/KubeMDM/unenroll"},
			forbidden, "raw.windows.locURI", "type Unenroll",
		},
		"delete the account": {
			v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawDelete, LocURI: "./Vendor/MSFT/DMClient"}, forbidden, "raw.windows.locURI", "type Unenroll",
		},
		"write with a query": {
			v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawReplace, LocURI: "./Vendor/MSFT/A?list=Struct"}, unreadable, "raw.windows.locURI", "percent-encoded",
		},
		"outside": {v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawGet, LocURI: "./Elsewhere"}, unreadable, "raw.windows.locURI", "outside"},
		"value": {
			v1alpha1.RawWindowsCommand{Verb: v1alpha1.RawReplace, LocURI: lockTimeout, Format: v1alpha1.FormatInteger, Data: new("x")},
			unreadable, "raw.windows.data", "whole number",
		},
	} {
		err := windows.ValidateCommand(&v1alpha1.CommandAction{Type: v1alpha1.ActionRaw, Raw: &v1alpha1.RawAction{Windows: &c.raw}})
		expect(t, name, err, c.reason, c.field, c.says)
	}
}
