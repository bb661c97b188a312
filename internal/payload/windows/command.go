package windows

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/payload/content"
)

const (
	vendor    = "./Device/Vendor/MSFT/"
	plainText = "text/plain"
)

// CommandReferences lists the keys of ConfigMaps and Secrets that a command for PCs is made of.
func CommandReferences(a *v1alpha1.CommandAction) (refs content.References) {
	if a.InstallCertificate != nil {
		refs.Add(&a.InstallCertificate.Certificate)
	}
	return refs
}

// unsupported says why there are actions that PCs do not have.
var unsupported = map[v1alpha1.ActionType]string{
	v1alpha1.ActionLock:                  "Windows cannot lock a desktop by MDM: its RemoteLock CSP is for phones only",
	v1alpha1.ActionShutDown:              "Windows cannot be switched off by MDM: its Reboot CSP restarts only",
	v1alpha1.ActionClearPasscode:         "Windows cannot remove the password or PIN of a user by MDM",
	v1alpha1.ActionInstalledApplications: "Windows lists only what MDM installed itself; ask for nodes with type Raw and the verb Get",
	v1alpha1.ActionProfileList:           "Windows keeps settings, not profiles; the server reads the settings of every Profile again by itself",
	v1alpha1.ActionCertificateList:       "Windows has no list of certificates; ask for the nodes of a store with type Raw and the verb Get",
	v1alpha1.ActionSecurityInfo:          "Windows has no such command; ask for the nodes of its DeviceStatus CSP with type Raw and the verb Get",
	v1alpha1.ActionInstallApplication:    "Windows installs packages with type InstallMSI",
}

// Unsupported says why PCs cannot do an action; empty: they can.
func Unsupported(a *v1alpha1.CommandAction) string {
	if a.Type == v1alpha1.ActionRaw && a.Raw.Windows == nil {
		return "the command has no raw.windows, which PCs need"
	}
	return unsupported[a.Type]
}

// Command makes the command of an action that PCs support. Every error is a *content.Error.
func Command(a *v1alpha1.CommandAction, from content.Sources) (*adminapi.WindowsCommand, error) {
	switch a.Type {
	case v1alpha1.ActionDeviceInformation:
		return &adminapi.WindowsCommand{RequestType: adminapi.WindowsDeviceInformation, Commands: deviceInformation()}, nil
	case v1alpha1.ActionRestart:
		return exec(adminapi.WindowsRestart, vendor+"Reboot/RebootNow", v1alpha1.FormatNull), nil
	case v1alpha1.ActionWipe:
		return exec(adminapi.WindowsWipe, vendor+"RemoteWipe/"+wipes[a.Wipe.Method], v1alpha1.FormatText), nil
	case v1alpha1.ActionUnenroll:
		return &adminapi.WindowsCommand{RequestType: adminapi.WindowsUnenroll}, nil
	case v1alpha1.ActionInstallMSI:
		return installMSI(a.InstallMSI)
	case v1alpha1.ActionInstallCertificate:
		return installCertificate(a.InstallCertificate, from)
	case v1alpha1.ActionRaw:
		command, err := rawCommand(a.Raw.Windows)
		return &adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{command}}, err
	}
	return nil, content.Unreadable("PCs have no action %s", a.Type)
}

// facts are the nodes of the DevDetail and DevInfo CSPs that every PC has.
var facts = []string{
	"./DevInfo/Man", "./DevInfo/Mod", "./DevInfo/DmV", "./DevInfo/Lang",
	"./DevDetail/SwV", "./DevDetail/FwV", "./DevDetail/HwV", "./DevDetail/OEM", "./DevDetail/DevTyp",
	"./DevDetail/Ext/Microsoft/SMBIOSSerialNumber", "./DevDetail/Ext/Microsoft/DeviceName", "./DevDetail/Ext/Microsoft/DNSComputerName",
	"./DevDetail/Ext/Microsoft/OSPlatform", "./DevDetail/Ext/Microsoft/ProcessorArchitecture",
	"./DevDetail/Ext/Microsoft/TotalRAM", "./DevDetail/Ext/Microsoft/TotalStorage",
}

func deviceInformation() []adminapi.SyncMLCommand {
	commands := make([]adminapi.SyncMLCommand, len(facts))
	for i, uri := range facts {
		commands[i] = adminapi.SyncMLCommand{Verb: adminapi.VerbGet, LocURI: uri}
	}
	return commands
}

// wipes are the nodes of the RemoteWipe CSP.
var wipes = map[v1alpha1.WipeMethod]string{
	"":                                    "doWipe",
	v1alpha1.WipeStandard:                 "doWipe",
	v1alpha1.WipeProtected:                "doWipeProtected",
	v1alpha1.WipeKeepProvisionedData:      "doWipePersistProvisionedData",
	v1alpha1.WipeKeepUserData:             "doWipePersistUserData",
	v1alpha1.WipeCloud:                    "doWipeCloud",
	v1alpha1.WipeCloudKeepProvisionedData: "doWipeCloudPersistProvisionedData",
	v1alpha1.WipeCloudKeepUserData:        "doWipeCloudPersistUserData",
}

func exec(request, uri string, format v1alpha1.SettingFormat) *adminapi.WindowsCommand {
	return &adminapi.WindowsCommand{RequestType: request, Commands: []adminapi.SyncMLCommand{
		{Verb: adminapi.VerbExec, LocURI: uri, Format: string(format), Type: plainText},
	}}
}

// msiJob is the data of DownloadInstall (EnterpriseDesktopAppManagement CSP).
type msiJob struct {
	XMLName xml.Name   `xml:"MsiInstallJob"`
	ID      string     `xml:"id,attr"`
	Product msiProduct `xml:"Product"`
}

// msiProduct has its elements in the order of the schema; times are in minutes.
type msiProduct struct {
	Version       string `xml:"Version,attr"`
	URL           string `xml:"Download>ContentURLList>ContentURL"`
	Hash          string `xml:"Validation>FileHash"`
	CommandLine   string `xml:"Enforcement>CommandLine"`
	TimeOut       int32  `xml:"Enforcement>TimeOut"`
	RetryCount    int32  `xml:"Enforcement>RetryCount"`
	RetryInterval int32  `xml:"Enforcement>RetryInterval"`
}

// installMSI makes the node of a package and starts the installation in it, which must come in one message. Its Status ends with 70 when the package
// is installed, 60 when the installer failed and 30 when the download did.
func installMSI(msi *v1alpha1.InstallMSIAction) (*adminapi.WindowsCommand, error) {
	job, err := xml.Marshal(msiJob{ID: msi.ProductCode, Product: msiProduct{
		Version: msi.Version, URL: msi.URL, Hash: strings.ToUpper(msi.SHA256), CommandLine: msi.CommandLine,
		TimeOut: msi.TimeoutMinutes, RetryCount: ptr.Deref(msi.Retries, 0), RetryInterval: msi.RetryIntervalMinutes,
	}})
	if err != nil {
		return nil, content.Unreadable("writing the installation job: %v", err)
	}
	product := vendor + "EnterpriseDesktopAppManagement/MSI/" + url.PathEscape(msi.ProductCode)
	return &adminapi.WindowsCommand{
		RequestType: adminapi.WindowsInstallMSI,
		Commands: []adminapi.SyncMLCommand{
			{Verb: adminapi.VerbAdd, LocURI: product + "/DownloadInstall"},
			{Verb: adminapi.VerbExec, LocURI: product + "/DownloadInstall", Format: string(v1alpha1.FormatXML), Type: plainText, Data: string(job)},
		},
		Await: &adminapi.WindowsAwait{
			LocURI: product + "/Status", Done: []string{"70"}, Failed: []string{"60", "30"}, ErrorLocURI: product + "/LastError",
		},
	}, nil
}

// installCertificate writes a certificate under its thumbprint (RootCATrustedCertificates CSP).
func installCertificate(a *v1alpha1.InstallCertificateAction, from content.Sources) (*adminapi.WindowsCommand, error) {
	text, err := from.Of(&a.Certificate)
	if err != nil {
		return nil, err
	}
	der, err := certificate(text)
	if err != nil {
		return nil, in("installCertificate.certificate", err)
	}
	return &adminapi.WindowsCommand{RequestType: adminapi.WindowsInstallCertificate, Commands: []adminapi.SyncMLCommand{{
		Verb: adminapi.VerbSet, LocURI: fmt.Sprintf("%sRootCATrustedCertificates/%s/%X/EncodedCertificate", vendor, a.Store, sha1.Sum(der)),
		Format: string(v1alpha1.FormatBase64), Data: base64.StdEncoding.EncodeToString(der),
	}}}, nil
}

// certificate reads PEM that holds one certificate and nothing else, so that no private key is ever sent.
func certificate(text []byte) ([]byte, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("it is no PEM of exactly one certificate")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return nil, errors.New("the certificate cannot be read")
	}
	return block.Bytes, nil
}

// ValidateCommand judges what stands in an action itself, and not what it refers to. Every error is a *content.Error.
func ValidateCommand(a *v1alpha1.CommandAction) error {
	if a.Raw != nil && a.Raw.Windows != nil {
		_, err := rawCommand(a.Raw.Windows)
		return err
	}
	if c := a.InstallCertificate; c != nil && c.Certificate.Inline != "" {
		_, err := installCertificate(c, content.Sources{})
		return err
	}
	return nil
}

func rawCommand(raw *v1alpha1.RawWindowsCommand) (adminapi.SyncMLCommand, error) {
	command := adminapi.SyncMLCommand{Verb: adminapi.SyncMLVerb(raw.Verb), LocURI: raw.LocURI, Format: string(raw.Format)}
	path, query, _ := strings.Cut(raw.LocURI, "?")
	if raw.Verb != v1alpha1.RawGet || !strings.HasPrefix(query, "list=") {
		path = raw.LocURI // only Get takes a query: ?list=Struct and the like
	}
	err := checkLocURI(path)
	if err == nil {
		err = checkAllowed(command.Verb, path)
	}
	if err != nil || raw.Data == nil {
		return command, in("raw.windows.locURI", err)
	}
	command.Data, err = write(cmp.Or(raw.Format, v1alpha1.FormatText), *raw.Data)
	return command, in("raw.windows.data", err)
}
