package fleet_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

func TestSecretsAreNowhereInTheFiles(t *testing.T) {
	w := newWorld(t)
	m := w.enroll("A")
	w.must(w.TokenUpdate(w.ctx, m.id, m.ch, fleet.PushInfo{Token: []byte("t"), Magic: "SECRET-magic", Topic: topic}, []byte("SECRET-unlock"), false))
	w.must(w.SetBootstrapToken(w.ctx, m.id, m.ch, []byte("SECRET-bootstrap")))
	w.putArtifact(adminapi.Artifact{Key: "ns/p", Scope: adminapi.ScopeSystem, Identifier: "p", Digest: "v1", Template: []byte("SECRET-template")})
	w.assign(keys{"ns/p"}, m)
	w.act("ns/raw", adminapi.AppleCommand{RequestType: adminapi.AppleRaw, Raw: []byte("SECRET-raw"), GeneratePIN: true}, m)
	d := m.idle()
	m.send(fleet.Report{Status: fleet.StatusAcknowledged, CommandUUID: d.CommandUUID, Body: []byte("SECRET-result")})
	challenge, err := w.IssueChallenge(w.ctx, tokenHash, params)
	w.must(err)
	pcs := w.windowsToken(adminapi.Token{Key: "fleet/pcs"})
	agent := w.newAgent(pcs.TokenHash, "HW")
	_, pc, err := w.tryPC(agent.cred(), "PC", "key")
	w.must(err)
	ticket, err := w.IssueTicket(w.ctx, "fleet/pcs", "ann@example.org")
	w.must(err)
	r, err := w.ActionResult(w.ctx, "ns/raw", "A")
	w.must(err)
	if string(r.Body) != "SECRET-result" || string(d.Action.Command.Raw) != "SECRET-raw" || r.PIN == "" {
		t.Errorf("what was sealed does not open: %+v", r)
	}

	w.wantNowhere("SECRET-", "U0VDUkVU", challenge.Secret, pc.DigestSecret, agent.key, ticket.Secret) // U0VD...: base64 of SECRET
}

func TestSecretsOfASessionAreNowhereInTheFiles(t *testing.T) {
	w := newWorld(t)
	p := w.newPC("A")
	p.nodes[nodeB] = "SECRET-read"
	w.putProfile("ns/p", "v1", set(nodeA, "chr", "SECRET-setting"))
	p.assign("ns/p")
	p.run("ns/raw", adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{
		set(camera, "chr", "SECRET-raw"), {Verb: adminapi.VerbGet, LocURI: nodeB},
	}})
	part := p.answer(p.open())
	part.More = true
	p.say(part)
	w.wantNowhere("SECRET-", "U0VDUkVU")
	p.msg++
	p.finish(p.say(fleet.WindowsMessage{SessionID: part.SessionID, MsgID: strconv.Itoa(p.msg)}))
	if got := p.answers("ns/raw"); len(got) != 2 || got[1]["data"] != "SECRET-read" {
		t.Errorf("answers = %v", got)
	}
	w.wantNowhere("SECRET-", "U0VDUkVU")
}

// wantNowhere checks that no file of the store holds one of the secrets in clear.
func (w *world) wantNowhere(secrets ...string) {
	w.t.Helper()
	files, err := filepath.Glob(w.path + "*")
	w.must(err)
	for _, name := range files {
		content, err := os.ReadFile(name)
		w.must(err)
		for _, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				w.t.Errorf("%s holds %q in clear", filepath.Base(name), secret)
			}
		}
	}
}
