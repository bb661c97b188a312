package windows

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// Statuses of SyncHdr.
const (
	statusSignedIn      = 212
	statusInvalid       = 401
	statusAuthenticated = 407
)

// maxChallenges is how often a PC answers a challenge for one message.
const maxChallenges = 2

// exchange sends one message, again with new credentials when it is challenged, and returns the reply.
func (s *session) exchange(ctx context.Context, parts []*element, final bool) (*reply, error) {
	s.msgID++
	s.report.Messages++
	for challenges := 0; ; challenges++ {
		body := s.encode(parts, final)
		answer, err := s.post(ctx, body)
		if err != nil {
			return nil, err
		}
		r, err := s.read(answer, parts)
		if err != nil {
			return nil, malformed("management: %w", err)
		}
		again, err := s.heed(r.header)
		if err != nil || !again {
			return r, err
		}
		if challenges == maxChallenges {
			return nil, &StatusError{Code: r.header.code}
		}
		s.report.Challenges++
		if s.pc.opts.Habits.NextMsgIDAfterChallenge {
			s.msgID++
		}
	}
}

// heed takes the status of SyncHdr: it says whether the message is to be sent again, and with which nonce.
func (s *session) heed(header status) (again bool, err error) {
	if header.nextNonce != "" {
		nonce, err := base64.StdEncoding.DecodeString(header.nextNonce)
		if err != nil {
			return false, malformed("nonce: %w", err)
		}
		s.pc.mu.Lock()
		s.e.nonce = nonce
		s.pc.mu.Unlock()
	}
	switch header.code {
	case statusOK:
		return false, nil
	case statusSignedIn:
		s.report.SignedIn = true
		return false, nil
	case statusInvalid, statusAuthenticated:
		if header.nonceType != authMD5 || header.nextNonce == "" {
			return false, &StatusError{Code: header.code}
		}
		return true, nil
	}
	return false, &StatusError{Code: header.code}
}

// encode writes a message. CmdIDs count from 1 on, in the order of the parts.
func (s *session) encode(parts []*element, final bool) []byte {
	body := tag("SyncBody")
	for i, part := range parts {
		numbered := *part
		numbered.children = append([]*element{tag("CmdID", strconv.Itoa(i+1))}, part.children...)
		body.children = append(body.children, &numbered)
	}
	answersOnly := parts[0].Local == "Status"
	if final && (!answersOnly || !s.pc.opts.Habits.OmitFinal) {
		body.children = append(body.children, tag("Final"))
	}
	return tag("SyncML", attr("xmlns", nsSyncML),
		tag("SyncHdr",
			tag("VerDTD", "1.2"), tag("VerProto", "DM/1.2"), tag("SessionID", s.id), tag("MsgID", strconv.Itoa(s.msgID)),
			tag("Target", tag("LocURI", s.e.provisioning.ManagementURL)), tag("Source", tag("LocURI", s.pc.opts.DeviceID)),
			s.credentials()),
		body).document()
}

// credentials are those of the APPSRV block, until the server wants them no more.
func (s *session) credentials() *element {
	if s.report.SignedIn {
		return nil
	}
	c := s.e.provisioning.ToServer
	kind, data := authBasic, base64.StdEncoding.EncodeToString([]byte(c.Name+":"+c.Secret))
	if c.Type == "DIGEST" {
		s.pc.mu.Lock()
		kind, data = authMD5, Digest(c.Name, c.Secret, s.e.nonce)
		s.pc.mu.Unlock()
	}
	ns := attr("xmlns", nsMeta)
	return tag("Cred", tag("Meta", tag("Format", ns, "b64"), tag("Type", ns, kind)), tag("Data", data))
}

// Digest is the data of a syncml:auth-md5 credential: B64(MD5(B64(MD5(name:secret)):nonce)) (OMA-DM Security 1.2, section 5.3).
func Digest(name, secret string, nonce []byte) string {
	inner := md5.Sum([]byte(name + ":" + secret))
	outer := md5.Sum(append([]byte(base64.StdEncoding.EncodeToString(inner[:])+":"), nonce...))
	return base64.StdEncoding.EncodeToString(outer[:])
}

// post sends a message until it is answered: as often and as far apart as the provisioning document says.
func (s *session) post(ctx context.Context, body []byte) (*Answer, error) {
	p := s.e.provisioning
	backoff := p.InitialBackoff
	for try := 0; ; try++ {
		m, err := s.message(body)
		if err != nil {
			return nil, err
		}
		answer, err := s.line.send(ctx, m)
		if err == nil && answer.Status == http.StatusOK {
			return answer, nil
		}
		pause := backoff
		if err == nil {
			err = &HTTPError{Endpoint: "management", Status: answer.Status}
			if asked := retryAfter(answer); asked > 0 {
				pause = asked
			}
		}
		if try == p.Retries || !passing(err) {
			return nil, err
		}
		if err := s.pc.wait(ctx, pause); err != nil {
			return nil, err
		}
		backoff = min(2*backoff, p.MaxBackoff)
	}
}

func retryAfter(answer *Answer) time.Duration {
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil || answer.Status != http.StatusTooManyRequests {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// passing says whether the same message may fare better later.
func passing(err error) bool {
	if status := new(HTTPError); errors.As(err, &status) {
		return status.Status >= http.StatusInternalServerError || status.Status == http.StatusTooManyRequests
	}
	fault := new(FaultError)
	return !errors.As(err, &fault) && !errors.Is(err, ErrMalformed) && !errors.Is(err, context.Canceled)
}

// message makes the HTTP request.
func (s *session) message(body []byte) (Message, error) {
	p := s.e.provisioning
	m := Message{Method: http.MethodPost, URL: p.ManagementURL, Body: body, Identity: s.certificate(), Header: http.Header{
		"Accept":     {typeSyncML + ", application/vnd.syncml.dm+wbxml, application/octet-stream"},
		"User-Agent": {"MSFT OMA DM Client/1.2.0.1"},
	}}
	if !strings.Contains(m.URL, "?") {
		m.URL += "?mode=Maintenance&Platform=WoA"
	}
	if !s.pc.opts.Habits.OmitContentType {
		m.Header.Set("Content-Type", typeSyncML)
	}
	s.pc.mu.Lock()
	signs := s.pc.tree.value(s.e.dmClient("RequireMessageSigning")) == "true"
	if id := s.pc.tree.value(s.e.dmClient("EntDMID")); id != "" {
		m.Header.Set("client-request-id", id)
	}
	s.pc.mu.Unlock()
	if signs {
		signature, err := s.e.identity.Sign(body)
		if err != nil {
			return Message{}, err
		}
		m.Header.Set(s.pc.opts.SignatureHeader, signature)
	}
	if s.opts.Forge != nil {
		s.opts.Forge(&m)
	}
	return m, nil
}

// certificate is what TLS may present. A certificate in a user's store is out of reach while that user is not logged in.
func (s *session) certificate() *devicesim.Identity {
	p := s.e.provisioning
	if p.SearchCriteria == nil || p.Store == "User" && s.opts.Login != LoginUser {
		return nil
	}
	return s.e.identity
}

// read checks and parses an answer.
func (s *session) read(answer *Answer, parts []*element) (*reply, error) {
	if !answer.hasType(typeSyncML) {
		return nil, errors.New("content type " + strconv.Quote(answer.Header.Get("Content-Type")))
	}
	want := expectation{sessionID: s.id, msgID: strconv.Itoa(s.msgID), deviceID: s.pc.opts.DeviceID}
	for _, part := range parts {
		want.sent = append(want.sent, part.Local)
	}
	return parseReply(answer.Body, want)
}
