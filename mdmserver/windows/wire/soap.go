package wire

import (
	"encoding/base64"
	"errors"
	"strings"
)

// Request types of MS-WSTEP, section 3.1.4.1.2.
const (
	RequestIssue = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue"
	RequestRenew = "http://docs.oasis-open.org/ws-sx/ws-trust/200512/Renew"
)

// Request is a SOAP message of a device. Exactly one of the bodies is set.
type Request struct {
	// MessageID is the same constant in every message of real clients: something to repeat, not to recognise.
	MessageID    string
	Security     Security
	Discover     *Discover
	GetPolicies  *GetPolicies
	TokenRequest *TokenRequest
}

// Security is the credential of whoever enrols: a password, or the token that an agent or the sign-in page handed to Windows. Without one, Password is
// empty and Token nil.
type Security struct {
	Password string
	Token    *BinaryToken
}

// BinaryToken is a BinarySecurityToken in base64 of any flavour, padded or not. Its ValueType is not read: the specification's own samples state
// wrong ones.
type BinaryToken string

// Discover asks where and how to enrol (MS-MDE2, section 3.1.4.1.2.1).
type Discover struct {
	// AuthPolicies are those that the client can follow.
	AuthPolicies []string
}

// GetPolicies asks what a certificate request should look like (MS-XCEP, section 3.1.4.1.2.1). What it says is of no use to the answer.
type GetPolicies struct{}

// TokenRequest asks for a certificate (MS-MDE2, section 3.3.4.1.1.1).
type TokenRequest struct {
	RequestType string
	Token       BinaryToken
	items       map[string]string
}

// Item returns the first value of a context item, or "".
func (t *TokenRequest) Item(name string) string { return t.items[name] }

// Bytes decodes the token.
func (b BinaryToken) Bytes() ([]byte, error) {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.Join(strings.Fields(string(b)), ""))
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(standard, "="))
}

var (
	errEnvelope = errors.New("the document is no SOAP envelope")
	errBodies   = errors.New("the message does not have exactly one known body")
)

// ParseRequest reads a SOAP message of a device. Elements and attributes count by their local names: clients disagree about prefixes and about the
// trailing slashes of namespaces. White space round texts does not count either.
func ParseRequest(document []byte) (*Request, error) {
	envelope, err := parse(document)
	if err != nil {
		return nil, err
	}
	if envelope.name != "Envelope" {
		return nil, errEnvelope
	}
	header, body := envelope.child("Header"), envelope.child("Body")
	r := &Request{
		MessageID:    header.child("MessageID").trimmed(),
		Security:     security(header.child("Security")),
		Discover:     discover(body.child("Discover")),
		TokenRequest: tokenRequest(body.child("RequestSecurityToken")),
	}
	if body.child("GetPolicies") != nil {
		r.GetPolicies = &GetPolicies{}
	}
	bodies := 0
	for _, set := range []bool{r.Discover != nil, r.GetPolicies != nil, r.TokenRequest != nil} {
		if set {
			bodies++
		}
	}
	if bodies != 1 {
		return nil, errBodies
	}
	return r, nil
}

func security(e *element) Security {
	s := Security{Password: e.child("UsernameToken").child("Password").trimmed()}
	if token := e.child("BinarySecurityToken"); token != nil {
		value := BinaryToken(token.trimmed())
		s.Token = &value
	}
	return s
}

func discover(e *element) *Discover {
	if e == nil {
		return nil
	}
	d := &Discover{}
	if policies := e.child("request").child("AuthPolicies"); policies != nil {
		for _, p := range policies.children {
			d.AuthPolicies = append(d.AuthPolicies, p.trimmed())
		}
	}
	return d
}

func tokenRequest(e *element) *TokenRequest {
	if e == nil {
		return nil
	}
	t := &TokenRequest{
		RequestType: e.child("RequestType").trimmed(),
		Token:       BinaryToken(e.child("BinarySecurityToken").trimmed()),
		items:       map[string]string{},
	}
	if context := e.child("AdditionalContext"); context != nil {
		for _, item := range context.children {
			if name := item.attribute("Name"); t.items[name] == "" {
				t.items[name] = item.child("Value").trimmed()
			}
		}
	}
	return t
}

// trimmed is the text of an element without the white space round it; "" for one that is missing.
func (e *element) trimmed() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(e.text)
}
