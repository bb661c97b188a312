package wire

import (
	"embed"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"
	"text/template"
	"time"
)

// Actions of the answers; a fault has that of the answer in whose place it stands.
const (
	ActionDiscover = "http://schemas.microsoft.com/windows/management/2012/01/enrollment/IDiscoveryService/DiscoverResponse"
	ActionPolicies = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy/IPolicy/GetPoliciesResponse"
	ActionIssued   = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment/RSTRC/wstep"
)

// ContentType is that of SOAP 1.2, both ways.
const ContentType = "application/soap+xml; charset=utf-8"

// timestamp is the lexical form of WS-Security timestamps in real answers; answerLife is how long one may be used.
const (
	timestamp  = "2006-01-02T15:04:05.000Z"
	answerLife = 5 * time.Minute
)

// Reply is a SOAP message to a device.
type Reply struct {
	Action string
	// RelatesTo is the MessageID of the request; TraceID finds the exchange in the log.
	RelatesTo, TraceID string
	Body               Body
}

// Body is a *DiscoverResult, a *Policy, an *Issued or a *Fault.
type Body interface{ template() string }

// DiscoverResult says where and how to enrol (MS-MDE2, section 3.1.4.1.2.2).
type DiscoverResult struct {
	AuthPolicy        string
	EnrollmentVersion string
	PolicyURL         string
	EnrollURL         string
	// SignInURL is set when AuthPolicy is Federated.
	SignInURL string
}

// Policy says what a certificate request should look like: RSA of KeyBits, signed with SHA-256 (MS-XCEP, section 3.1.4.1.2.2).
type Policy struct {
	Name                            string
	ValiditySeconds, RenewalSeconds int64
	KeyBits                         int
}

// Issued carries a provisioning document (MS-MDE2, section 3.3.4.1.1.2).
type Issued struct {
	Provisioning []byte
	At           time.Time
}

// Document is the provisioning document in base64.
func (i *Issued) Document() string { return base64.StdEncoding.EncodeToString(i.Provisioning) }

// Fault says why there is no answer. Its elements are in lower case: that is how Microsoft documents it, and Windows reads it so.
type Fault struct {
	// Subcode and ErrorType become an HRESULT on the device; ErrorType may be empty.
	Subcode, ErrorType string
	// Text is for people. About names what the refusal is about, if that is known; Encode makes the TraceID of it and that of the message.
	Text, About, TraceID string
}

func (*DiscoverResult) template() string { return "discovery.xml" }
func (*Policy) template() string         { return "policy.xml" }
func (*Issued) template() string         { return "issued.xml" }
func (*Fault) template() string          { return "fault.xml" }

//go:embed soap
var soapFiles embed.FS

var soapTemplates = template.Must(template.New("").Funcs(template.FuncMap{"x": escape}).ParseFS(soapFiles, "soap/*.xml"))

// Encode writes the message.
func (r *Reply) Encode() ([]byte, error) {
	envelope := struct {
		*Reply
		Created, Expires, Body string
	}{Reply: r}
	switch b := r.Body.(type) {
	case *Issued:
		envelope.Created, envelope.Expires = b.At.UTC().Format(timestamp), b.At.Add(answerLife).UTC().Format(timestamp)
	case *Fault:
		b.TraceID = strings.TrimPrefix(b.About+" "+r.TraceID, " ")
	}
	var body, message strings.Builder
	if err := soapTemplates.ExecuteTemplate(&body, r.Body.template(), r.Body); err != nil {
		return nil, fmt.Errorf("rendering a SOAP body: %w", err)
	}
	envelope.Body = body.String()
	if err := soapTemplates.ExecuteTemplate(&message, "envelope.xml", envelope); err != nil {
		return nil, fmt.Errorf("rendering a SOAP message: %w", err)
	}
	return []byte(message.String()), nil
}

// escape makes s safe inside of an element or an attribute in double quotes.
func escape(s string) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}
