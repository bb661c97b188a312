package windows

import "testing"

func FuzzParseReply(f *testing.F) {
	f.Add([]byte(`<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>1</SessionID><MsgID>1</MsgID><Target><LocURI>D</LocURI></Target><Source><LocURI>https://x</LocURI></Source></SyncHdr><SyncBody><Status><CmdID>1</CmdID><MsgRef>1</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd><Data>200</Data></Status><Atomic><CmdID>2</CmdID><Replace><CmdID>3</CmdID><Item><Target><LocURI>./A</LocURI></Target><Data>1</Data></Item></Replace></Atomic><Final/></SyncBody></SyncML>`))
	f.Fuzz(func(t *testing.T, document []byte) {
		r, err := parseReply(document, expectation{sessionID: "1", msgID: "1", deviceID: "D", sent: []string{"Alert"}})
		if err == nil && r.header.cmd != "SyncHdr" {
			t.Errorf("taken without a Status of SyncHdr: %s", document)
		}
	})
}

func FuzzParseProvisioning(f *testing.F) {
	f.Add([]byte(`<wap-provisioningdoc version="1.1"><characteristic type="CertificateStore"><characteristic type="My"><characteristic type="User"><characteristic type="X"><parm name="EncodedCertificate" value="AA=="/></characteristic></characteristic></characteristic></characteristic></wap-provisioningdoc>`))
	f.Fuzz(func(t *testing.T, document []byte) {
		p, err := ParseProvisioning(document)
		if err == nil && (p.Certificate == nil || p.ProviderID == "") {
			t.Errorf("taken without a certificate or a provider: %s", document)
		}
	})
}

func FuzzEnrolmentAnswers(f *testing.F) {
	f.Add([]byte(`<DiscoverResponse xmlns="http://schemas.microsoft.com/windows/management/2012/01/enrollment"><DiscoverResult><AuthPolicy>OnPremise</AuthPolicy></DiscoverResult></DiscoverResponse>`))
	f.Add([]byte(`<GetPoliciesResponse xmlns="http://schemas.microsoft.com/windows/pki/2009/01/enrollmentpolicy"><response><policies><policy><policyOIDReference>0</policyOIDReference></policy></policies></response></GetPoliciesResponse>`))
	f.Add([]byte(`<RequestSecurityTokenResponseCollection xmlns="http://docs.oasis-open.org/ws-sx/ws-trust/200512"/>`))
	f.Fuzz(func(t *testing.T, document []byte) {
		e, err := parse(document)
		if err != nil {
			return
		}
		if d, err := parseDiscovery(e); err == nil && d.EnrollmentURL == "" {
			t.Errorf("taken without an enrolment service: %s", document)
		}
		if p, err := parsePolicy(e); err == nil && p.Hash == nil {
			t.Errorf("taken without a hash: %s", document)
		}
		_, _ = openToken(e)
	})
}
