package pushcert

import "time"

// Reasons why a vendor cannot sign.
const (
	ReasonVendorKeyMismatch            = "VendorKeyMismatch"
	ReasonVendorCertificateExpired     = "VendorCertificateExpired"
	ReasonVendorCertificateNotYetValid = "VendorCertificateNotYetValid"
	ReasonVendorCertificateWrongType   = "VendorCertificateWrongType"
	ReasonVendorChainUnknown           = "VendorChainUnknown"
	ReasonVendorChainExpired           = "VendorChainExpired"
)

// Reasons why Apple would not take a push certificate request, besides those of its vendor.
const (
	ReasonRequestMalformed        = "RequestMalformed"
	ReasonRequestSignatureInvalid = "RequestSignatureInvalid"
)

// Reasons why a certificate that was given is not taken into use.
const (
	ReasonMalformed     = "Malformed"
	ReasonKeyMismatch   = "KeyMismatch"
	ReasonWrongType     = "WrongType"
	ReasonIssuerUnknown = "IssuerUnknown"
	ReasonNotYetValid   = "NotYetValid"
	ReasonExpired       = "Expired"
	ReasonTopicChanged  = "TopicChanged"
	ReasonNotLater      = "NotLater"
)

// Refusal is why something cannot be used, and what a person does about it. Reason is one word, fit for a condition.
type Refusal struct{ Reason, Message string }

// Error makes a refusal an error for programs that end with it.
func (r *Refusal) Error() string { return r.Message }

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
