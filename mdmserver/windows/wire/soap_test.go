package wire_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/mdmserver/windows/wire"
	"github.com/kubemdm/kubemdm/test/golden"
)

// hostile is what must come out as text, wherever it goes in.
const hostile = `</s:Body>"'&<x a="`

// wellFormed fails the test unless the document can be read, and returns its text.
func wellFormed(t *testing.T, document []byte) string {
	t.Helper()
	var text strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(document)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		switch token := token.(type) {
		case xml.CharData:
			text.Write(token)
		case xml.StartElement:
			if token.Name.Local == "x" {
				t.Errorf("a value became an element in\n%s", document)
			}
		}
	}
}

var at = time.Date(2026, 4, 1, 12, 0, 0, 5e6, time.UTC)

func TestReplies(t *testing.T) {
	for name, c := range map[string]struct {
		action string
		body   wire.Body
	}{
		"discovery_onpremise": {wire.ActionDiscover, &wire.DiscoverResult{
			AuthPolicy: "OnPremise", EnrollmentVersion: "4.0",
			PolicyURL: "https://mdm.example.com/policy", EnrollURL: "https://mdm.example.com/enroll",
		}},
		"discovery_federated": {wire.ActionDiscover, &wire.DiscoverResult{
			AuthPolicy: "Federated", EnrollmentVersion: "4.0",
			PolicyURL: "https://mdm.example.com/policy", EnrollURL: "https://mdm.example.com/enroll", SignInURL: "https://mdm.example.com/signin?a&b",
		}},
		"policy":             {wire.ActionPolicies, &wire.Policy{Name: "Example", ValiditySeconds: 31536000, RenewalSeconds: 3628800, KeyBits: 2048}},
		"issued":             {wire.ActionIssued, &wire.Issued{Provisioning: []byte("<wap-provisioningdoc/>"), At: at}},
		"fault":              {wire.ActionIssued, &wire.Fault{Subcode: "s:authorization", ErrorType: "NotEligibleToRenew", Text: "Not yet."}},
		"fault_without_type": {wire.ActionPolicies, &wire.Fault{Subcode: "s:messageformat", Text: "What?"}},
	} {
		t.Run(name, func(t *testing.T) {
			reply := wire.Reply{Action: c.action, RelatesTo: "urn:uuid:748132ec", TraceID: "trace-1", Body: c.body}
			got, err := reply.Encode()
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, got)
			if _, isFault := c.body.(*wire.Fault); bytes.Contains(got, []byte("s:fault")) != isFault {
				t.Error("clients tell a fault by that word")
			}
			golden.Check(t, "testdata/"+name+".xml", got)
		})
	}
}

func TestRepliesEscapeWhatTheyRepeat(t *testing.T) {
	for _, body := range []wire.Body{
		&wire.DiscoverResult{AuthPolicy: hostile, EnrollmentVersion: hostile, PolicyURL: hostile, EnrollURL: hostile, SignInURL: hostile},
		&wire.Policy{Name: hostile},
		&wire.Issued{Provisioning: []byte(hostile)},
		&wire.Fault{Subcode: hostile, ErrorType: hostile, Text: hostile},
	} {
		reply := wire.Reply{Action: hostile, RelatesTo: hostile, TraceID: hostile, Body: body}
		got, err := reply.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if text := wellFormed(t, got); !strings.Contains(text, hostile) {
			t.Errorf("%T lost a value: %s", body, text)
		}
	}
}

const rst = `<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"
  xmlns:b="http://www.w3.org/2005/08/addressing" xmlns:wsse="urn:wsse" xmlns:wst="urn:wst" xmlns:ac="urn:ac"><e:Header>
<b:MessageID> urn:uuid:1 </b:MessageID><wsse:Security e:mustUnderstand="1"><!-- who -->
<wsse:UsernameToken><wsse:Username>joe</wsse:Username><wsse:Password wsse:Type="text">
pass&amp;word
</wsse:Password></wsse:UsernameToken></wsse:Security></e:Header><e:Body>
<wst:RequestSecurityToken><wst:RequestType>
http://docs.oasis-open.org/ws-sx/ws-trust/200512/Issue
</wst:RequestType><wsse:BinarySecurityToken wsse:ValueType="whatever">
_-8
A</wsse:BinarySecurityToken><ac:AdditionalContext>
<ac:ContextItem ac:Name="DeviceID"><ac:Value> 0123 </ac:Value></ac:ContextItem>
<ac:ContextItem Name="MAC"><ac:Value>1</ac:Value></ac:ContextItem><ac:ContextItem Name="MAC"><ac:Value>2</ac:Value></ac:ContextItem>
</ac:AdditionalContext></wst:RequestSecurityToken></e:Body></e:Envelope>`

func TestARequestInOddClothes(t *testing.T) {
	r, err := wire.ParseRequest([]byte(rst))
	if err != nil {
		t.Fatal(err)
	}
	if r.MessageID != "urn:uuid:1" || r.Security.Password != "pass&word" || r.Security.Token != nil || r.Discover != nil || r.GetPolicies != nil {
		t.Errorf("header %+v", r)
	}
	token, err := r.TokenRequest.Token.Bytes()
	if err != nil || !bytes.Equal(token, []byte{0xff, 0xef, 0x00}) {
		t.Errorf("token %x, %v", token, err)
	}
	if r.TokenRequest.RequestType != wire.RequestIssue || r.TokenRequest.Item("DeviceID") != "0123" || r.TokenRequest.Item("MAC") != "1" || r.TokenRequest.Item("IMEI") != "" {
		t.Errorf("body %+v", r.TokenRequest)
	}
}

func TestTokensInEveryBase64(t *testing.T) {
	for token, want := range map[wire.BinaryToken]string{
		"/+8=": "\xff\xef", "/+8": "\xff\xef", "_-8=": "\xff\xef", "_-8": "\xff\xef", " /\r\n+8= ": "\xff\xef", "": "",
	} {
		if got, err := token.Bytes(); err != nil || string(got) != want {
			t.Errorf("%q: %x, %v", token, got, err)
		}
	}
	if _, err := wire.BinaryToken("%%%").Bytes(); err == nil {
		t.Error("percent signs are no base64")
	}
}

func envelope(body string) string {
	return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>` + body + `</s:Body></s:Envelope>`
}

func TestRequestsThatAreRefused(t *testing.T) {
	for name, document := range map[string]string{
		"nothing":            "",
		"no XML":             "hello",
		"not closed":         strings.TrimSuffix(rst, "</e:Envelope>"),
		"another document":   "<Discover/>",
		"no body":            envelope(""),
		"an unknown body":    envelope("<Forget/>"),
		"two bodies":         envelope("<Discover/><GetPolicies/>"),
		"two documents":      rst[strings.Index(rst, "<e:"):] + "<x/>",
		"a document type":    "<!DOCTYPE a>" + envelope("<Discover/>"),
		"an entity bomb":     `<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>` + envelope("<Discover><request>&b;</request></Discover>"),
		"an unknown entity":  envelope("<Discover>&b;</Discover>"),
		"a style sheet":      `<?xml-stylesheet href="x"?>` + envelope("<Discover/>"),
		"nested too deeply":  envelope(strings.Repeat("<Discover>", wire.MaxDepth) + strings.Repeat("</Discover>", wire.MaxDepth)),
		"a million elements": envelope("<Discover>" + strings.Repeat("<a/>", 1e6) + "</Discover>"),
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := wire.ParseRequest([]byte(document)); err == nil {
				t.Errorf("it was read as %+v", r)
			}
		})
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(rst))
	f.Add([]byte(envelope("<Discover><request><AuthPolicies><AuthPolicy>OnPremise</AuthPolicy></AuthPolicies></request></Discover>")))
	f.Fuzz(func(t *testing.T, document []byte) {
		r, err := wire.ParseRequest(document)
		if err != nil {
			return
		}
		if r.TokenRequest != nil {
			_, _ = r.TokenRequest.Token.Bytes()
		}
		reply := wire.Reply{RelatesTo: r.MessageID, Body: &wire.Fault{Text: r.Security.Password}}
		got, err := reply.Encode()
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, got)
	})
}
