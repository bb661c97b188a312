package windows

import (
	"crypto/x509"
	"encoding/base64"
	"strings"
)

// definition says what may be done with the nodes of a pattern: "*" is any one segment, "**" any rest.
type definition struct {
	pattern string
	verbs   string
	// format is what is written to the node; empty: any.
	format string
	// valid looks at data beyond its format; nil: all of it is.
	valid func(Node) bool
}

const (
	readOnly  = "Get"
	readWrite = "Get Replace"
	dynamic   = "Add Get Replace Delete"
	execOnly  = "Exec"
	msi       = "Vendor/MSFT/EnterpriseDesktopAppManagement/MSI/"
)

// definitions are the configuration service providers of this PC. The first that matches holds.
var definitions = []definition{
	{pattern: "DevInfo/**", verbs: readOnly},
	{pattern: "DevDetail/**", verbs: readOnly},
	{pattern: "Vendor/MSFT/RemoteWipe/doWipe", verbs: execOnly},
	{pattern: "Vendor/MSFT/RemoteWipe/doWipeProtected", verbs: execOnly},
	{pattern: "Vendor/MSFT/RemoteWipe/doWipePersistProvisionedData", verbs: execOnly},
	{pattern: "Vendor/MSFT/RemoteWipe/doWipePersistUserData", verbs: execOnly},
	{pattern: "Vendor/MSFT/RemoteWipe/doWipeCloud", verbs: execOnly},
	{pattern: "Vendor/MSFT/RemoteWipe/doWipeCloudPersistProvisionedData", verbs: execOnly},
	{pattern: "Vendor/MSFT/RemoteWipe/doWipeCloudPersistUserData", verbs: execOnly},
	{pattern: "Vendor/MSFT/Reboot/RebootNow", verbs: "Exec Get"},
	{pattern: "Vendor/MSFT/Reboot/Schedule/*", verbs: dynamic},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/Unenroll", verbs: "Exec Get", format: "chr"},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/HWDevID", verbs: readOnly},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/AADDeviceID", verbs: readOnly},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/EnrollmentType", verbs: readOnly},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/MaxSyncApplicationVersion", verbs: readOnly},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/EntDMID", verbs: readWrite, format: "chr"},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/RequireMessageSigning", verbs: dynamic, format: "bool"},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/Poll/PollOnLogin", verbs: dynamic, format: "bool"},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/Poll/AllUsersPollOnFirstLogin", verbs: dynamic, format: "bool"},
	{pattern: "Vendor/MSFT/DMClient/Provider/*/Poll/*", verbs: dynamic, format: "int"},
	{pattern: "Vendor/MSFT/DMClient/**", verbs: dynamic},
	{pattern: "Vendor/MSFT/Policy/Result/**", verbs: readOnly},
	{pattern: "Vendor/MSFT/Policy/ConfigOperations/ADMXInstall/**", verbs: dynamic, format: "chr"},
	{pattern: "Vendor/MSFT/Policy/Config/DeviceLock/*", verbs: dynamic, format: "int"},
	{pattern: "Vendor/MSFT/Policy/Config/Camera/*", verbs: dynamic, format: "int"},
	{pattern: "Vendor/MSFT/Policy/Config/Update/*", verbs: dynamic},
	{pattern: "Vendor/MSFT/Policy/Config/**", verbs: dynamic},
	{pattern: msi + "*/DownloadInstall", verbs: "Add Exec Get Delete", format: "xml"},
	{pattern: msi + "*", verbs: "Get Delete"},
	{pattern: msi + "*/**", verbs: readOnly},
	{pattern: renewal + "ROBOSupport", verbs: readWrite, format: "bool"},
	{pattern: renewal + "RenewPeriod", verbs: readWrite, format: "int"},
	{pattern: renewal + "RetryInterval", verbs: readWrite, format: "int"},
	{pattern: "Vendor/MSFT/CertificateStore/My/WSTEP/**", verbs: readOnly},
	{pattern: "Vendor/MSFT/RootCATrustedCertificates/*/*/EncodedCertificate", verbs: dynamic, format: "b64", valid: isCertificate},
	{pattern: "Vendor/MSFT/RootCATrustedCertificates/**", verbs: "Get Delete"},
	{pattern: "Vendor/MSFT/ClientCertificateInstall/*/*/Install/Enroll", verbs: execOnly},
	{pattern: "Vendor/MSFT/ClientCertificateInstall/**", verbs: dynamic},
	{pattern: "Vendor/MSFT/BitLocker/Status/**", verbs: readOnly},
	{pattern: "Vendor/MSFT/BitLocker/RotateRecoveryPasswords", verbs: execOnly},
	{pattern: "Vendor/MSFT/BitLocker/**", verbs: dynamic},
	{pattern: "Vendor/MSFT/Firewall/**", verbs: dynamic},
	{pattern: "Vendor/MSFT/VPNv2/**", verbs: dynamic},
	{pattern: "Vendor/MSFT/WiFi/**", verbs: dynamic},
	{pattern: "Vendor/MSFT/Personalization/**", verbs: dynamic},
	{pattern: "Vendor/MSFT/Update/**", verbs: dynamic},
	{pattern: "User/Vendor/MSFT/Policy/Config/**", verbs: dynamic},
	{pattern: "User/Vendor/MSFT/VPNv2/**", verbs: dynamic},
	{pattern: "User/Vendor/MSFT/ClientCertificateInstall/**", verbs: dynamic},
}

func ruleOf(path string) (definition, bool) {
	for _, d := range definitions {
		if d.matches(path) {
			return d, true
		}
	}
	return definition{}, false
}

func (d definition) matches(path string) bool {
	segments := strings.Split(path, "/")
	for i, want := range strings.Split(d.pattern, "/") {
		if want == "**" {
			return i < len(segments)
		}
		if i >= len(segments) || want != "*" && want != segments[i] {
			return false
		}
		if i == len(segments)-1 {
			return strings.Count(d.pattern, "/") == i
		}
	}
	return false
}

// check says whether the node takes what is written: 406 for another format than the node's. An Add may be empty.
func (d definition) check(n Node) int {
	switch {
	case d.format != "" && n.Format != d.format && n != Node{}:
		return statusUnsupported
	case d.valid != nil && !d.valid(n):
		return statusBadRequest
	}
	return statusOK
}

// exec says whether the node may be run. One that can be added has to be.
func (d definition) exec(n Node, isLeaf bool) int {
	if strings.Contains(d.verbs, "Add") && !isLeaf {
		return statusNotFound
	}
	return d.check(n)
}

func isCertificate(n Node) bool {
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Data), ""))
	if err != nil {
		return false
	}
	_, err = x509.ParseCertificate(der)
	return err == nil
}
