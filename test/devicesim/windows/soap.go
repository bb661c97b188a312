package windows

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// Namespaces and identifiers of MS-MDE2, MS-XCEP and MS-WSTEP.
const (
	nsSOAP      = "http://www.w3.org/2003/05/soap-envelope"
	nsAddress   = "http://www.w3.org/2005/08/addressing"
	nsSecurity  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsUtility   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	nsTrust     = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	nsContext   = "http://schemas.xmlsoap.org/ws/2006/12/authorization"
	nsDiscovery = "http://schemas.microsoft.com/windows/management/2012/01/enrollment"
	nsPolicy    = "http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"
	nsWSTEP     = "http://schemas.microsoft.com/windows/pki/2009/01/enrollment"
	nsInstance  = "http://www.w3.org/2001/XMLSchema-instance"

	encodingBase64  = nsSecurity + "#base64binary"
	passwordText    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
	userTokenType   = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentUserToken"
	deviceTokenType = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentToken"
	provisionDoc    = "http://schemas.microsoft.com/5.0.0.0/ConfigurationManager/Enrollment/DeviceEnrollmentProvisionDoc"
)

// exchange is one SOAP call: what real clients send, message ids included, which are constants.
type exchange struct {
	endpoint  string
	action    string
	reply     string
	messageID string
	security  *element
	body      *element
}

// FaultError is a SOAP fault.
type FaultError struct {
	Endpoint string
	// Subcode is the local name, such as "authorization".
	Subcode string
	// Reason is the text for people; ErrorType and TraceID those of the detail, if there is one.
	Reason, ErrorType, TraceID string
}

// HRESULTs of subcodes and error types (MS-MDE2 section 2.2.9).
var hresults = map[string]uint32{
	"messageformat": 0x80180001, "authentication": 0x80180002, "authorization": 0x80180003, "certificaterequest": 0x80180004,
	"enrollmentserver": 0x80180005, "internalservicefault": 0x80180006, "invalidsecurity": 0x80180007,
	"devicecapreached": 0x80180013, "devicenotsupported": 0x80180014, "notsupported": 0x80180015, "noteligibletorenew": 0x80180016,
	"inmaintenance": 0x80180017, "userlicense": 0x80180018, "invalidenrollmentdata": 0x80180019, "customservererror": 0x80180032,
}

// HRESULT is what Windows makes of the fault: that of the error type, else that of the subcode, else 0x80180008.
func (e *FaultError) HRESULT() uint32 {
	for _, name := range []string{e.ErrorType, e.Subcode} {
		if code, known := hresults[strings.ToLower(name)]; known {
			return code
		}
	}
	return 0x80180008
}

// Error names everything that the fault told.
func (e *FaultError) Error() string {
	return fmt.Sprintf("%s refused: %s %s (%#x): %s [%s]", e.Endpoint, e.Subcode, e.ErrorType, e.HRESULT(), e.Reason, e.TraceID)
}

// call sends a SOAP request and returns the only element in the body of the answer.
func (pc *PC) call(ctx context.Context, url string, identity *devicesim.Identity, x exchange) (*element, error) {
	must := attr("s:mustUnderstand", "1")
	envelope := tag("s:Envelope", attr("xmlns:s", nsSOAP), attr("xmlns:a", nsAddress), attr("xmlns:u", nsUtility),
		attr("xmlns:wsse", nsSecurity), attr("xmlns:wst", nsTrust), attr("xmlns:ac", nsContext),
		tag("s:Header",
			tag("a:Action", must, x.action), tag("a:MessageID", x.messageID),
			tag("a:ReplyTo", tag("a:Address", nsAddress+"/anonymous")), tag("a:To", must, url), x.security),
		tag("s:Body", x.body))
	answer, err := pc.Send(ctx, Message{Method: http.MethodPost, URL: url, Body: envelope.document(), Identity: identity, Header: http.Header{
		"Content-Type": {typeSOAP + "; charset=utf-8"}, "User-Agent": {"ENROLLClient"},
	}})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", x.endpoint, err)
	}
	return x.open(answer)
}

// open checks the envelope of an answer.
func (x exchange) open(answer *Answer) (*element, error) {
	if !answer.hasType(typeSOAP) {
		if answer.Status != http.StatusOK {
			return nil, &HTTPError{Endpoint: x.endpoint, Status: answer.Status}
		}
		return nil, malformed("%s: content type %q", x.endpoint, answer.Header.Get("Content-Type"))
	}
	envelope, err := parse(answer.Body)
	if err != nil {
		return nil, malformed("%s: %w", x.endpoint, err)
	}
	if envelope.Space != nsSOAP || !strings.EqualFold(envelope.Local, "Envelope") {
		return nil, malformed("%s: no SOAP 1.2 envelope", x.endpoint)
	}
	if fault := envelope.path("Body/Fault"); fault != nil {
		return nil, x.fault(fault)
	}
	if answer.Status != http.StatusOK {
		return nil, &HTTPError{Endpoint: x.endpoint, Status: answer.Status}
	}
	if err := x.answers(envelope.child("Header")); err != nil {
		return nil, err
	}
	body := envelope.child("Body")
	if body == nil || len(body.children) != 1 {
		return nil, malformed("%s: the body does not hold one element", x.endpoint)
	}
	return body.children[0], nil
}

// answers says whether a header is of the answer to this call.
func (x exchange) answers(header *element) error {
	if got := header.value("Action"); got != x.reply || header.child("Action").Space != nsAddress {
		return malformed("%s: action %q, not %q", x.endpoint, got, x.reply)
	}
	if got := header.value("RelatesTo"); got != x.messageID {
		return malformed("%s: it relates to %q, not %q", x.endpoint, got, x.messageID)
	}
	return nil
}

// fault reads a fault however its elements are capitalised: SOAP and Microsoft's samples differ.
func (x exchange) fault(found *element) error {
	text := func(path string) string { return found.path(path).trimmed() }
	subcode := text("Code/Subcode/Value")
	return &FaultError{
		Endpoint: x.endpoint, Subcode: subcode[strings.Index(subcode, ":")+1:], Reason: text("Reason/Text"),
		ErrorType: text("Detail/DeviceEnrollmentServiceError/ErrorType"), TraceID: text("Detail/DeviceEnrollmentServiceError/TraceId"),
	}
}

// userToken is the header of whoever brings a token: the agent, or the sign-in page through the browser.
func userToken(token string) *element {
	return tag("wsse:Security", attr("s:mustUnderstand", "1"),
		tag("wsse:BinarySecurityToken", attr("ValueType", userTokenType), attr("EncodingType", encodingBase64),
			base64.StdEncoding.EncodeToString([]byte(token))))
}

// userPassword is the header of whoever typed a password.
func userPassword(user, password string) *element {
	return tag("wsse:Security", attr("s:mustUnderstand", "1"),
		tag("wsse:UsernameToken", attr("u:Id", "uuid-cc1ccc1f-2fba-4bcf-b063-ffc0cac77917-4"),
			tag("wsse:Username", user), tag("wsse:Password", attr("wsse:Type", passwordText), password)))
}

// renewing is the header of a renewal, which proves itself by its PKCS#7 alone.
func renewing(now time.Time) *element {
	const layout = "2006-01-02T15:04:05.000Z"
	return tag("wsse:Security", attr("s:mustUnderstand", "1"),
		tag("u:Timestamp", attr("u:Id", "_0"), tag("u:Created", now.UTC().Format(layout)), tag("u:Expires", now.Add(5*time.Minute).UTC().Format(layout))),
		tag("wsse:UsernameToken", tag("wsse:Username"), tag("wsse:Password", attr("wsse:Type", passwordText))))
}
