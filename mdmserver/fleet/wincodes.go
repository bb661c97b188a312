package fleet

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Status codes of SyncML that decide what is done next (OMA-DM Representation Protocol 1.2, response status codes).
const (
	statusOK            = 200
	statusNotFound      = 404
	statusNotAllowed    = 405
	statusUnsupported   = 406
	statusTooLarge      = 413
	statusAlreadyExists = 418
	statusForbidden     = 425
	statusCanceled      = 214
	statusNotExecuted   = 215
	statusRolledBack    = 216
)

// statusWords are the status codes that Windows uses.
var statusWords = map[int]string{
	statusCanceled:      "the command was canceled",
	statusNotExecuted:   "the command was not executed",
	statusRolledBack:    "the command was rolled back with the Atomic around it",
	400:                 "the command is malformed",
	401:                 "the server is not authenticated",
	403:                 "the command is forbidden",
	statusNotFound:      "there is no such node",
	statusNotAllowed:    "the command is not allowed on this node",
	statusUnsupported:   "the feature is not supported",
	407:                 "the server must authenticate",
	412:                 "the command is incomplete",
	statusTooLarge:      "it is too large",
	414:                 "the LocURI is too long",
	415:                 "the format or type of the value is not supported",
	416:                 "the value is larger than announced",
	statusAlreadyExists: "the node exists already",
	420:                 "the device has no room for it",
	424:                 "the value has not the announced size",
	statusForbidden:     "the server has no permission for this node",
	500:                 "the command failed",
	501:                 "the device does not know this command",
	503:                 "the device is busy",
	507:                 "the Atomic failed",
	516:                 "the Atomic failed and could not be rolled back",
}

// originalWords are HRESULTs that Windows gives in msft:originalerror. 0x8600nnnn are those of its configuration manager (cfgmgr2err.h), 0x8007nnnn
// Win32 errors (winerror.h, wininet.h), 0x8018nnnn those of enrolment (MS-MDE2 section 2.2.10).
var originalWords = map[string]string{
	"0x80004001": "it is not implemented",
	"0x80004005": "an unspecified error",
	"0x8000FFFF": "an unexpected error",
	"0x80070002": "a file was not found",
	"0x80070003": "a path was not found",
	"0x80070005": "access is denied",
	"0x8007000D": "the data is invalid",
	"0x8007000E": "there is not enough memory",
	"0x80070032": "the request is not supported",
	"0x80070057": "a parameter is wrong",
	"0x80070070": "the disk is full",
	"0x800700B7": "it exists already",
	"0x80070490": "an element was not found",
	"0x80070520": "there is no such logon session",
	"0x80070643": "the installation failed",
	"0x8007064C": "the source of the installation is not available",
	"0x80070652": "another installation is in progress",
	"0x80070653": "the Windows Installer package could not be opened",
	"0x80070661": "the installation package is for another processor",
	"0x80070666": "another version of the product is installed",
	"0x80070BC2": "a restart is needed",
	"0x8007139F": "the state is not right for this request",
	"0x80072EE2": "the request timed out",
	"0x80072EE7": "the name of the server could not be resolved",
	"0x80072EFD": "the server could not be reached",
	"0x80072EFE": "the connection was cut off",
	"0x80072F0D": "the certificate of the server is not trusted",
	"0x80072F8F": "the certificate of the server does not fit its name or the clock of the device",
	"0x80092004": "a certificate or key was not found",
	"0x8009000B": "the key is not in the required state",
	"0x8018000A": "the device is enrolled already",
	"0x86000000": "the options of the node are invalid",
	"0x86000001": "the type of the data is invalid",
	"0x86000002": "the node does not exist",
	"0x86000003": "it is not allowed inside an Atomic",
	"0x86000004": "it is only allowed inside an Atomic",
	"0x86000005": "one or more commands failed",
	"0x86000006": "one or more commands could not be taken back",
	"0x86000008": "the Atomic failed when it was committed",
	"0x86000009": "the Atomic failed when it was rolled back",
	"0x8600000A": "the clean-up after the Atomic failed",
	"0x8600000C": "the registration of the configuration service provider is corrupt",
	"0x8600000E": "an operation before it failed",
	"0x8600000F": "the node is in an invalid state",
	"0x86000011": "the command is not allowed on this node",
	"0x86000013": "the node does not support the property",
	"0x86000015": "the LocURI has a forbidden segment",
	"0x86000016": "reading or writing is not permitted",
	"0x86000017": "the value is secret and cannot be read",
	"0x86000018": "the XML could not be parsed",
	"0x86000019": "the command timed out",
	"0x86000021": "the WMI operation failed",
	"0x86000022": "there is no user to act for",
	"0x86000023": "another source of configuration owns the setting",
}

// hresult is an HRESULT as it is commonly written, "0x" and eight digits. Devices give it in hexadecimal or as a decimal number with or without sign; anything
// else is "".
func hresult(s string) string {
	digits, isHex := strings.CutPrefix(strings.ToLower(strings.TrimSpace(s)), "0x")
	if isHex {
		n, err := strconv.ParseUint(digits, 16, 32)
		if err != nil {
			return ""
		}
		return fmt.Sprintf("0x%08X", n)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < math.MinInt32 || n > math.MaxUint32 {
		return ""
	}
	return fmt.Sprintf("0x%08X", uint32(n)) //nolint:gosec // it is an HRESULT, with or without sign
}

// describeOriginal says what is known of an HRESULT; "" if it is none.
func describeOriginal(original string) string {
	code := hresult(original)
	if words, known := originalWords[code]; known {
		return code + ", " + words
	}
	return code
}

// describeAnswer puts a status and an HRESULT, if there is one, into words.
func describeAnswer(code int, original string) string {
	words, known := statusWords[code]
	if !known {
		words = "the device refused the command"
	}
	if reason := describeOriginal(original); reason != "" {
		return fmt.Sprintf("%s (%d; %s)", words, code, reason)
	}
	return fmt.Sprintf("%s (%d)", words, code)
}
