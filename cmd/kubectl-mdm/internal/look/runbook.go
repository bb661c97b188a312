package look

import (
	"maps"
	"slices"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// RunbookFolder holds the pages in the repository.
const RunbookFolder = "docs/runbooks/"

// runbooks are the pages by reason, those for a reason of one kind alone by kind and reason.
var runbooks = map[string]string{
	mdmv1alpha1.MDMServerKeyLost:                             "key-lost.md",
	mdmv1alpha1.ReasonServerUnreachable:                      "server-unreachable.md",
	mdmv1alpha1.MDMServerUnavailable:                         "server-unreachable.md",
	mdmv1alpha1.MDMServerStoreUnavailable:                    "store-unavailable.md",
	mdmv1alpha1.MDMServerStorageFull:                         "full-disk.md",
	mdmv1alpha1.MDMServerNewerSchema:                         "store-unavailable.md",
	mdmv1alpha1.MDMServerReadOnly:                            "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabaseIsStandby:                   "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabaseCredentialsInvalid:          "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabaseLoginRefused:                "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabaseTLSFailed:                   "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabaseCertificateRefused:          "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabaseNotFound:                    "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabasePrivilegesMissing:           "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabaseUnsuitable:                  "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabaseOfAnotherServer:             "store-unavailable.md",
	mdmv1alpha1.MDMServerDatabaseDamaged:                     "store-unavailable.md",
	mdmv1alpha1.MDMServerTooManyConnections:                  "store-unavailable.md",
	mdmv1alpha1.ReasonAnotherManager:                         "another-manager.md",
	mdmv1alpha1.ProfileTooManyRemovals:                       "removal-held.md",
	mdmv1alpha1.ProfileIdentifierConflict:                    "identifier-conflict.md",
	mdmv1alpha1.DeviceIdentityTaken:                          "reenrolment-blocked.md",
	mdmv1alpha1.DeviceUnknownToServer:                        "unknown-to-server.md",
	mdmv1alpha1.MDMServerPushPaused:                          "push-not-accepted.md",
	mdmv1alpha1.APNSCertificatePushRefused:                   "push-not-accepted.md",
	"APNSCertificate/" + mdmv1alpha1.APNSCertificateExpiring: "push-certificate-expires.md",
	"APNSCertificate/" + mdmv1alpha1.APNSCertificateExpired:  "push-certificate-expires.md",
	mdmv1alpha1.AutomatedEnrollmentTokenExpiring:             "automated-enrollment-token.md",
	mdmv1alpha1.AutomatedEnrollmentTokenExpired:              "automated-enrollment-token.md",
	mdmv1alpha1.AutomatedEnrollmentTokenRevoked:              "automated-enrollment-token.md",
	mdmv1alpha1.AutomatedEnrollmentTermsNotAccepted:          "automated-enrollment-token.md",
	mdmv1alpha1.AutomatedEnrollmentTokenForAnotherKey:        "automated-enrollment-token.md",
	mdmv1alpha1.AutomatedEnrollmentTokenOfAnotherServer:      "automated-enrollment-token.md",
}

// Runbook is the page that leads through a reason, or empty.
func Runbook(kind, reason string) string {
	for _, key := range []string{kind + "/" + reason, reason} {
		if page := runbooks[key]; page != "" {
			return RunbookFolder + page
		}
	}
	return ""
}

// Runbooks are all pages that are named.
func Runbooks() []string {
	pages := map[string]bool{}
	for _, page := range runbooks {
		pages[RunbookFolder+page] = true
	}
	return slices.Sorted(maps.Keys(pages))
}
