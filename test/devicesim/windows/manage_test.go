package windows_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

// tlsConfig asks for client certificates.
func tlsConfig(serving tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{serving}, ClientAuth: tls.RequestClientCert}
}

// manage answers each message with the next body of the queue, and with nothing but statuses at its end.
func (s *server) manage(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	check(s.t, err)
	m := message{header: r.Header}
	check(s.t, xml.Unmarshal(body, &m))
	if len(r.TLS.PeerCertificates) > 0 {
		m.certificate = r.TLS.PeerCertificates[0]
	}
	if signature := r.Header.Get("MDM-Signature") + r.Header.Get("MS-Signature"); signature != "" {
		m.signer = s.verify(signature, body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	nonce := fmt.Sprintf("nonce %d", s.nonces)
	header, chal, commands := 200, "", ""
	switch {
	case s.demand != 0 && m.Cred != windows.Digest(user, secret, []byte(nonce)):
		s.nonces++
		header, chal = s.demand, fmt.Sprintf(`<Chal><Meta><Format xmlns="syncml:metinf">b64</Format><Type xmlns="syncml:metinf">syncml:auth-md5</Type><NextNonce xmlns="syncml:metinf">%s</NextNonce></Meta></Chal>`,
			base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "nonce %d", s.nonces)))
	case len(s.queue) > 0:
		commands, s.queue = s.queue[0], s.queue[1:]
	}
	if header == 200 {
		s.heard = append(s.heard, m)
		if m.Replace.CmdID != "" {
			commands = fmt.Sprintf("<Status><CmdID>P</CmdID><MsgRef>%s</MsgRef><CmdRef>%s</CmdRef><Cmd>Replace</Cmd><Data>200</Data></Status>", m.MsgID, m.Replace.CmdID) + commands
		}
	}
	s.write(w, "application/vnd.syncml.dm+xml", s.sync(fmt.Sprintf(
		`<SyncML xmlns="SYNCML:SYNCML1.2"><SyncHdr><VerDTD>1.2</VerDTD><VerProto>DM/1.2</VerProto><SessionID>%s</SessionID><MsgID>%s</MsgID><Target><LocURI>%s</LocURI></Target><Source><LocURI>%s/management</LocURI></Source></SyncHdr><SyncBody><Status><CmdID>S</CmdID><MsgRef>%[2]s</MsgRef><CmdRef>0</CmdRef><Cmd>SyncHdr</Cmd>%[5]s<Data>%[6]d</Data></Status>%[7]s%[8]s<Final/></SyncBody></SyncML>`,
		m.SessionID, m.MsgID, m.Source, s.URL, chal, header, m.accepted(), commands)))
}

// accepted are statuses of what came in parts.
func (m message) accepted() string {
	for _, r := range m.Results {
		if r.MoreData != nil {
			return fmt.Sprintf(`<Status><CmdID>R</CmdID><MsgRef>%s</MsgRef><CmdRef>%s</CmdRef><Cmd>Results</Cmd><Data>213</Data></Status><Alert><CmdID>A</CmdID><Data>1222</Data></Alert>`, m.MsgID, r.CmdID)
		}
	}
	return ""
}

func (s *server) verify(header string, body []byte) *x509.Certificate {
	der, err := base64.StdEncoding.DecodeString(header)
	check(s.t, err)
	signature, err := pkcs7.Parse(der)
	check(s.t, err)
	if len(signature.Content) != 0 {
		s.t.Error("the signature of a message is not detached")
	}
	signature.Content = body
	check(s.t, signature.Verify())
	return signature.GetOnlySigner()
}

// gives has the server answer the next messages with these commands.
func (s *server) gives(bodies ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.heard = bodies, nil
}

// statuses are the status codes that were heard for each CmdID.
func (s *server) statuses() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	codes := map[string]int{}
	for _, m := range s.heard {
		for _, st := range m.Statuses {
			if st.CmdRef != "0" {
				codes[st.CmdRef] = st.Data.Code
			}
		}
	}
	return codes
}

// results are the data that were heard for each LocURI, parts joined.
func (s *server) results() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	data := map[string]string{}
	for _, m := range s.heard {
		for _, r := range m.Results {
			data[r.LocURI] += r.Data
		}
	}
	return data
}

// do is a command on one node.
func do(id, verb, locURI, format, data string) string {
	meta := ""
	if format != "" {
		meta = `<Meta><Format xmlns="syncml:metinf">` + format + `</Format></Meta>`
	}
	var escaped bytes.Buffer
	_ = xml.EscapeText(&escaped, []byte(data))
	return fmt.Sprintf(`<%s><CmdID>%s</CmdID><Item><Target><LocURI>%s</LocURI></Target>%s<Data>%s</Data></Item></%[1]s>`, verb, id, locURI, meta, escaped.String())
}

func within(verb, id string, commands ...string) string {
	return fmt.Sprintf(`<%s><CmdID>%s</CmdID>%s</%[1]s>`, verb, id, strings.Join(commands, ""))
}

// parseCSR reads a request even if its common name is a PrintableString with '!' and NUL, which Go refuses: it reads the name as UTF-8.
func parseCSR(t *testing.T, der []byte) *x509.CertificateRequest {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		name := []byte{0x06, 0x03, 0x55, 0x04, 0x03, 0x13} // commonName, PrintableString
		at := bytes.Index(der, name)
		if at < 0 {
			t.Error(err)
			return &x509.CertificateRequest{}
		}
		changed := bytes.Clone(der)
		changed[at+len(name)-1] = 0x0c
		csr, err = x509.ParseCertificateRequest(changed)
		check(t, err)
		length := len(csr.RawTBSCertificateRequest)
		begin := bytes.Index(changed, csr.RawTBSCertificateRequest)
		csr.RawTBSCertificateRequest = der[begin : begin+length]
	}
	check(t, csr.CheckSignature())
	return csr
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
