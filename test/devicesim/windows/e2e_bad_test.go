package windows_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
)

// refusal has a session that must fail, and returns the status of SyncHdr.
func refusal(t *testing.T, pc *windows.PC, forge func(*windows.Message)) int {
	t.Helper()
	_, err := pc.Session(t.Context(), windows.SessionOptions{Forge: forge})
	refused := new(windows.StatusError)
	if !errors.As(err, &refused) {
		t.Fatalf("not refused: %v", err)
	}
	return refused.Code
}

func TestServerRefusesForgedMessages(t *testing.T) {
	w := newWorld(t, nil)
	victim, before := w.enrolled(1, nil)
	attacker, _ := w.enrolled(2, nil)
	w.order(before, "restart", restart)
	asVictim := func(m *windows.Message) {
		m.Body = bytes.ReplaceAll(m.Body, []byte(attacker.Hardware().DeviceID), []byte(victim.Hardware().DeviceID))
	}
	withoutCred := func(m *windows.Message) {
		if begin, end := bytes.Index(m.Body, []byte("<Cred>")), bytes.Index(m.Body, []byte("</Cred>")); begin >= 0 {
			m.Body = append(bytes.Clone(m.Body[:begin]), m.Body[end+len("</Cred>"):]...)
		}
	}
	stranger, err := devicesim.SelfSigned(attacker.Identity().Key, victim.Identity().Certificate.Subject)
	fatal(t, err)
	for name, forge := range map[string]func(*windows.Message){
		"another device's certificate": func(m *windows.Message) { asVictim(m); withoutCred(m) },
		"and digest":                   asVictim,
		"digest alone":                 func(m *windows.Message) { asVictim(m); m.Identity = nil },
		"nothing":                      func(m *windows.Message) { asVictim(m); withoutCred(m); m.Identity = nil },
		"a certificate of nobody's":    func(m *windows.Message) { asVictim(m); withoutCred(m); m.Identity = stranger },
		"a certificate in a header": func(m *windows.Message) {
			asVictim(m)
			withoutCred(m)
			m.Identity = nil
			m.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(victim.Identity().Certificate.Raw)+":")
		},
	} {
		// The reply names the device that the message names, which the attacker's PC does not take for itself: so it is not answered, or refused.
		_, err := attacker.Session(t.Context(), windows.SessionOptions{Forge: forge})
		if err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	if r := w.outcome(before, "restart"); r.State != adminapi.TargetQueued || attacker.Restarts() > 0 {
		t.Errorf("somebody else got the victim's command: %+v", r)
	}
	session(t, victim, windows.SessionOptions{})
	if after := w.known(victim); after.EnrollmentID != before.EnrollmentID || victim.Restarts() != 1 || after.State != adminapi.DeviceEnrolled {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestServerWantsTheProofItIsConfiguredFor(t *testing.T) {
	unproven := func(m *windows.Message) { m.Identity = nil }
	t.Run("digest", func(t *testing.T) {
		w := newWorld(t, nil)
		pc, _ := w.enrolled(1, nil)
		code := refusal(t, pc, func(m *windows.Message) {
			m.Identity = nil
			m.Body = []byte(strings.Replace(string(m.Body), "<Data>", "<Data>x", 1))
		})
		if code != http.StatusUnauthorized {
			t.Errorf("a wrong digest: %d", code)
		}
	})
	t.Run("certificate", func(t *testing.T) {
		w := newWorld(t, func(c *serverconfig.Windows) { c.Authentication.Require = serverconfig.RequireCertificate })
		pc, _ := w.enrolled(1, nil)
		if code := refusal(t, pc, unproven); code != http.StatusUnauthorized {
			t.Errorf("a digest alone: %d", code)
		}
	})
	t.Run("forwarded certificate", func(t *testing.T) {
		w := newWorld(t, func(c *serverconfig.Windows) {
			c.ManagementHost = "" // the proxy ends TLS
			c.Authentication = serverconfig.Authentication{Require: serverconfig.RequireCertificate, TrustedProxies: []string{"127.0.0.0/8", "::1/128"}}
		})
		pc := w.pc(1, nil)
		fatal(t, pc.EnrollWithPassword(t.Context(), host, "ada@example.test", "any"))
		if code := refusal(t, pc, unproven); code != http.StatusUnauthorized {
			t.Errorf("without the header: %d", code)
		}
		session(t, pc, windows.SessionOptions{Forge: func(m *windows.Message) {
			m.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(pc.Identity().Certificate.Raw)+":")
		}})
		if d := w.known(pc); d.Authentication != adminapi.AuthForwarded || d.State != adminapi.DeviceEnrolled {
			t.Errorf("%+v", d)
		}
	})
	for _, header := range []string{"MS-Signature", "MDM-Signature"} {
		t.Run(header, func(t *testing.T) {
			w := newWorld(t, func(c *serverconfig.Windows) { c.Authentication.Require = serverconfig.RequireSignature })
			pc, d := w.enrolled(1, func(o *windows.Options) { o.SignatureHeader = header })
			other, _ := w.enrolled(2, nil)
			if d.Authentication != adminapi.AuthSignature {
				t.Errorf("%+v", d)
			}
			for name, forge := range map[string]func(*windows.Message){
				"no signature":   func(m *windows.Message) { m.Header.Del(header) },
				"of another":     func(m *windows.Message) { resign(t, m, header, other.Identity()) },
				"of another day": func(m *windows.Message) { m.Body = bytes.Replace(m.Body, []byte("en-US"), []byte("de-DE"), 1) },
				"nonsense":       func(m *windows.Message) { m.Header.Set(header, "AAAA") },
			} {
				if code := refusal(t, pc, forge); code < 400 {
					t.Errorf("%s: %d", name, code)
				}
			}
			session(t, pc, windows.SessionOptions{})
		})
	}
}

func resign(t *testing.T, m *windows.Message, header string, by *devicesim.Identity) {
	t.Helper()
	signature, err := by.Sign(m.Body)
	fatal(t, err)
	m.Header.Set(header, signature)
}

func TestServerRefusesRenewalsOfOthers(t *testing.T) {
	w := newWorld(t, func(c *serverconfig.Windows) { c.Identity.RenewBefore = c.Identity.Validity - serverconfig.Duration(1) })
	victim, before := w.enrolled(1, nil)
	attacker, _ := w.enrolled(2, nil)
	foreign, err := devicesim.SelfSigned(attacker.Identity().Key, victim.Identity().Certificate.Subject)
	fatal(t, err)
	used := victim.Identity().Key
	for name, signer := range map[string]*devicesim.Identity{
		"another device": attacker.Identity(), "nobody": foreign,
		"the victim's certificate with another key": {Certificate: victim.Identity().Certificate, Key: attacker.Identity().Key},
	} {
		if _, err := victim.RequestRenewal(t.Context(), signer, attacker.Identity().Key); faultOf(t, err).Subcode == "" {
			t.Errorf("signed by %s: %v", name, err)
		}
	}
	if _, err := victim.RequestRenewal(t.Context(), victim.Identity(), used); err == nil {
		t.Error("a key was certified again")
	}
	session(t, victim, windows.SessionOptions{})
	if after := w.known(victim); !after.IdentityNotAfter.Equal(before.IdentityNotAfter) {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// Whatever comes, the server answers it with a status, and goes on.
func TestServerTakesBadMessages(t *testing.T) {
	w := newWorld(t, nil)
	pc, _ := w.enrolled(1, nil)
	answer := func(change func(body string) string) int {
		t.Helper()
		var bad windows.Message
		_, err := pc.Session(t.Context(), windows.SessionOptions{Forge: func(m *windows.Message) {
			m.Body = []byte(change(string(m.Body)))
			bad = *m
		}})
		status := new(windows.HTTPError)
		switch {
		case errors.As(err, &status):
			return status.Status
		case err == nil || errors.Is(err, windows.ErrMalformed):
			return http.StatusOK
		}
		answer, err := pc.Send(t.Context(), bad)
		if err != nil {
			return http.StatusRequestEntityTooLarge // the server hung up on a body that it did not want
		}
		return answer.Status
	}
	replaces := func(old, by string) func(string) string {
		return func(body string) string { return strings.Replace(body, old, by, 1) }
	}
	for name, test := range map[string]struct {
		change func(string) string
		status int
	}{
		"nothing":               {func(string) string { return "" }, http.StatusBadRequest},
		"no XML":                {func(string) string { return "\x00\x01 wbxml" }, http.StatusBadRequest},
		"half a message":        {func(body string) string { return body[:len(body)/2] }, http.StatusBadRequest},
		"a DTD":                 {replaces("<SyncML", `<!DOCTYPE a [<!ENTITY b "c">]><SyncML`), http.StatusBadRequest},
		"an entity":             {replaces("en-US", "&b;"), http.StatusBadRequest},
		"depth":                 {replaces("<SyncBody>", "<SyncBody>"+strings.Repeat("<Atomic>", 100000)), http.StatusBadRequest},
		"no header":             {replaces("SyncHdr", "Header"), http.StatusBadRequest},
		"more than 4 MiB":       {replaces("en-US", strings.Repeat("x", 5<<20)), http.StatusRequestEntityTooLarge},
		"an unknown alert":      {replaces(">1201<", ">1999<"), http.StatusOK},
		"an alert of no number": {replaces(">1201<", ">many<"), http.StatusOK},
		"results of nothing":    {replaces("<Replace>", "<Results><CmdID>99</CmdID><MsgRef>7</MsgRef><CmdRef>8</CmdRef></Results><Replace>"), http.StatusOK},
		"status of nothing":     {replaces("<Replace>", "<Status><CmdID>99</CmdID><MsgRef>7</MsgRef><CmdRef>8</CmdRef><Cmd>Get</Cmd><Data>200</Data></Status><Replace>"), http.StatusOK},
	} {
		if status := answer(test.change); status != test.status {
			t.Errorf("%s: %d, not %d", name, status, test.status)
		}
	}
	alerts := []windows.Alert{
		{Code: 1226, Type: "com.example:unknown", Format: "chr", Data: strings.Repeat("x", 100000)}, {Code: 1224, Type: "com.microsoft/MDM/AADUserToken", Data: "x"},
	}
	session(t, pc, windows.SessionOptions{Alerts: alerts, ServerInitiated: true})
	if d := w.known(pc); d.State != adminapi.DeviceEnrolled {
		t.Errorf("%+v", d)
	}
}
