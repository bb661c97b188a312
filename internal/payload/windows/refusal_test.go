package windows_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/payload/windows"
)

func TestLocURIs(t *testing.T) {
	const unreadable, forbidden = v1alpha1.ProfileUnreadable, v1alpha1.ProfileForbiddenPayload
	for uri, c := range map[string]struct{ reason, says string }{
		lockTimeout:                                             {},
		"./Vendor/MSFT/WiFi/Profile/a%20b":                      {},
		"./Vendor/MSFT/A/{x}~y!z(1)'$,;=@+":                     {},
		"./DevDetail/Ext/Microsoft/DNSComputerName":             {},
		"./cimv2/MSFT_Alias":                                    {},
		"./Device/Vendor/MSFT/DMClient/Provider/KubeMDM/Poll":   {},
		"./Device/Vendor/MSFT/Reboot/Schedule/Single":           {},
		"Device/Vendor/MSFT/A":                                  {unreadable, "start with ./"},
		"/Device/Vendor/MSFT/A":                                 {unreadable, "start with ./"},
		"./Devices/Vendor/MSFT/A":                               {unreadable, "outside the management tree"},
		"./etc/passwd":                                          {unreadable, "outside the management tree"},
		"./":                                                    {unreadable, "empty"},
		"./Vendor//MSFT":                                        {unreadable, "empty"},
		"./Vendor/MSFT/":                                        {unreadable, "empty"},
		"./Vendor/../User/A":                                    {unreadable, ". or .."},
		"./Vendor/%2e%2E/A":                                     {unreadable, ". or .."},
		"./Vendor/./A":                                          {unreadable, ". or .."},
		"./Vendor/MSFT/a b":                                     {unreadable, "percent-encoded"},
		"./Vendor/MSFT/ü":                                       {unreadable, "percent-encoded"},
		"./Vendor/MSFT/A?list=Struct":                           {unreadable, "percent-encoded"},
		"./Vendor/MSFT/100%":                                    {unreadable, "hexadecimal"},
		"./Vendor/MSFT/%ff":                                     {unreadable, "not UTF-8"},
		"./Vendor/MSFT/%00":                                     {unreadable, "control character"},
		"./Vendor/" + strings.Repeat("x", 1024):                 {unreadable, "longer than 1024"},
		"./User/Vendor/MSFT/A":                                  {unreadable, "spec.scope User"},
		"./user/Vendor/MSFT/A":                                  {unreadable, "spec.scope User"},
		"./Device/Vendor/MSFT/RemoteWipe/doWipe":                {forbidden, "type Wipe"},
		"./Vendor/MSFT/RemoteWipe":                              {forbidden, "type Wipe"},
		"./vendor/msft/remotewipe/dowipeprotected":              {forbidden, "type Wipe"},
		"./Device/Vendor/MSFT/%52emoteWipe/doWipe":              {forbidden, "type Wipe"},
		"./Device/Vendor/MSFT/%2552emote%2557ipe/doWipe":        {forbidden, "type Wipe"},
		"./Device/Vendor%2FMSFT%2FRemoteWipe/doWipe/x%2525zz":   {forbidden, "type Wipe"},
		"./Vendor/MSFT/CleanPC/CleanPCRetainingUserData":        {forbidden, "type Wipe"},
		"./Vendor/MSFT/DMClient/Provider/Other/Unenroll":        {forbidden, "type Unenroll"},
		"./Device/Vendor/MSFT/DMClient/Unenroll":                {forbidden, "type Unenroll"},
		"./Device/Vendor/MSFT/DMClient/Provider/KubeMDM":        {forbidden, "type Unenroll"}, // it would be deleted with the Profile
		"./Device/Vendor/MSFT/Reboot/RebootNow":                 {forbidden, "type Restart"},
		"./Vendor/MSFT/CertificateStore/My/System/ABCD/Encoded": {forbidden, "identity"},
		"./SyncML/DMAcc/x/AppAuth":                              {forbidden, "account"},
	} {
		_, err := windows.Render(settings(setting(uri, v1alpha1.FormatText, "x")), sources)
		expect(t, uri, err, c.reason, "settings[0].locURI", c.says)
	}
}

func TestScopeAgreesWithLocURIs(t *testing.T) {
	device := inline(one(lockTimeout, "int", "1"))
	_, err := windows.Render(ofUser(device), sources)
	expect(t, "device's node for users", err, v1alpha1.ProfileUnreadable, "syncML.inline", "starts with ./User/")
	_, err = windows.Render(inline(one(wallpaper, "chr", "x")), sources)
	expect(t, "user's node for devices", err, v1alpha1.ProfileUnreadable, "syncML.inline", "spec.scope User")
}

func TestValues(t *testing.T) {
	deep := strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)
	for _, c := range []struct {
		format v1alpha1.SettingFormat
		value  string
		says   string
	}{
		{v1alpha1.FormatText, "\x00", "control character"},
		{v1alpha1.FormatText, "\xff", "not UTF-8"},
		{v1alpha1.FormatInteger, "fifteen", "whole number"},
		{v1alpha1.FormatInteger, "", "whole number"},
		{v1alpha1.FormatInteger, "1.5", "whole number"},
		{v1alpha1.FormatInteger, "4294967296", "whole number"},
		{v1alpha1.FormatInteger, "-2147483649", "whole number"},
		{v1alpha1.FormatBoolean, "True", "neither true nor false"},
		{v1alpha1.FormatBoolean, "1", "neither true nor false"},
		{v1alpha1.FormatBase64, "!", "base64"},
		{v1alpha1.FormatBinary, "AAE", "base64"},
		{v1alpha1.FormatXML, "<a>", "well-formed"},
		{v1alpha1.FormatXML, "<a></b>", "well-formed"},
		{v1alpha1.FormatXML, `<!DOCTYPE a [<!ENTITY b "c">]><a/>`, "document type"},
		{v1alpha1.FormatXML, deep, "nested"},
		{v1alpha1.FormatNode, "x", "no value"},
		{v1alpha1.FormatDate, "21.11.2026", "date"},
		{v1alpha1.FormatTime, "25:00:00", "time of day"},
		{v1alpha1.FormatFloat, "NaN", "number"},
		{"text", "x", "no format"},
	} {
		_, err := windows.Render(settings(setting(lockTimeout, c.format, c.value)), sources)
		expect(t, fmt.Sprintf("%s %q", c.format, c.value), err, v1alpha1.ProfileUnreadable, "settings[0].value", c.says)
	}
	_, err := windows.Render(settings(secret(lockTimeout, v1alpha1.FormatInteger, vpnSecret)), sources)
	expect(t, "secret", err, v1alpha1.ProfileUnreadable, "settings[0].valueFrom", "whole number")
	_, err = windows.Render(settings(secret(lockTimeout, v1alpha1.FormatInteger, v1alpha1.KeyReference{Name: "missing"})), sources)
	expect(t, "missing secret", err, v1alpha1.ProfileUnreadable, "settings[0].valueFrom", "missing")
}

func TestEveryFaultIsNamed(t *testing.T) {
	p := settings(
		setting(lockTimeout, v1alpha1.FormatInteger, "fifteen"),
		setting(lockTimeout+"/ok", v1alpha1.FormatInteger, "15"),
		secret("./Elsewhere", v1alpha1.FormatText, vpnSecret),
		secret(lockTimeout+"/judgedLater", v1alpha1.FormatInteger, vpnSecret),
	)
	err := windows.Validate(p)
	for _, want := range []string{"settings[0].value: ", "settings[2].locURI: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v says nothing of %q", err, want)
		}
	}
	if err != nil && (strings.Contains(err.Error(), "[1]") || strings.Contains(err.Error(), "[3]")) {
		t.Errorf("%v", err)
	}
}

func TestDocuments(t *testing.T) {
	good := one(lockTimeout, "int", "15")
	wrap := func(tag, inside string) string { return "<" + tag + ">" + inside + "</" + tag + ">" }
	for name, c := range map[string]struct{ text, says string }{
		"no XML":           {"hello", "text between elements"},
		"open":             {"<SyncBody>" + good, "well-formed"},
		"nothing":          {"<SyncBody><Final/></SyncBody>", "no command"},
		"document type":    {"<!DOCTYPE SyncML>" + good, "line 1: it holds a document type"},
		"entity":           {"<Replace>&bomb;</Replace>", "well-formed"},
		"instruction":      {good + "<?xml version='1.0'?>", "processing instruction"},
		"stylesheet":       {"<?xml-stylesheet href='x'?>" + good, "processing instruction"},
		"deep":             {strings.Repeat("<SyncML>", 100), "SyncML"},
		"deep data":        {one(lockTimeout, "xml", strings.Repeat("<a>", 100)), "nested"},
		"Get":              {wrap("Get", "<Item/>"), `"Get" is no command of a Profile`},
		"Alert":            {wrap("SyncBody", "<Alert/>"), "no command of a Profile"},
		"two bodies":       {wrap("SyncBody", wrap("SyncBody", good)), "no command of a Profile"},
		"nested Atomic":    {wrap("Atomic", wrap("Atomic", good)), "do not nest"},
		"Sequence inside":  {wrap("Atomic", wrap("Sequence", good)), "do not nest"},
		"empty Atomic":     {"<Atomic/>", "Atomic holds no command"},
		"no item":          {"<Exec/>", "Exec holds no Item"},
		"no path":          {"<Exec><Item/></Exec>", "start with ./"},
		"stranger":         {"<Exec><Thing/></Exec>", `"Thing" does not belong into Exec`},
		"stranger in item": {"<Exec><Item><Thing/></Item></Exec>", `"Thing" does not belong into Item`},
		"format":           {one(lockTimeout, "text", "15"), "no format"},
		"value":            {one(lockTimeout, "int", "fifteen"), "whole number"},
		"value in Atomic":  {wrap("Atomic", one(lockTimeout, "bool", "15")), "neither true nor false"},
		"outside":          {one("./Elsewhere", "int", "1"), "outside the management tree"},
		"too many":         {strings.Repeat("<Exec><Item/></Exec>", 1025), "more than 1024"},
	} {
		_, err := windows.Render(inline(c.text), sources)
		expect(t, name, err, v1alpha1.ProfileUnreadable, "syncML.inline", c.says)
	}
	for name, text := range map[string]string{
		"wipe":                 wrap("Exec", "<Item><Target><LocURI>./Vendor/MSFT/RemoteWipe/doWipe</LocURI></Target></Item>"),
		"all below is deleted": wrap("Atomic", wrap("Delete", "<Item><Target><LocURI>./Device/Vendor/MSFT/DMClient/Provider/KubeMDM</LocURI></Target></Item>")),
		"the whole tree":       wrap("Delete", "<Item><Target><LocURI>./Device</LocURI></Target></Item>"),
	} {
		_, err := windows.Render(inline(text), sources)
		expect(t, name, err, v1alpha1.ProfileForbiddenPayload, "syncML.inline", "")
	}
	_, err := windows.Render(inline(one(lockTimeout, "chr", strings.Repeat("x", adminapi.MaxArtifact))), sources)
	expect(t, "large", err, v1alpha1.ProfileTooLarge, "", "split")
}

func TestErrorsQuoteNoSecret(t *testing.T) {
	leaky := content.Sources{Secrets: map[v1alpha1.KeyReference][]byte{
		exported:  []byte(one("./hunter2", "int", "1")),
		vpnSecret: []byte("<hunter2>"),
	}}
	for name, p := range map[string]*v1alpha1.Profile{
		"SyncML": syncML(v1alpha1.ContentSource{SecretRef: &exported}),
		"value":  settings(secret(lockTimeout, v1alpha1.FormatXML, vpnSecret)),
	} {
		if _, err := windows.Render(p, leaky); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// expect wants one fault with these, or none if reason is empty.
func expect(t *testing.T, what string, err error, reason, field, says string) {
	t.Helper()
	var fault *content.Error
	switch {
	case reason == "":
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	case !errors.As(err, &fault):
		t.Errorf("%s: error %v", what, err)
	case fault.Reason != reason || fault.Field != field || !strings.Contains(fault.Message, says):
		t.Errorf("%s: %s in %q: %s; want %s in %q with %q", what, fault.Reason, fault.Field, fault.Message, reason, field, says)
	}
}
