package mdmserver_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/devicesim/windows"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

// Apple's credentials and the server's own keys stay in the mounted files: the database has them in no form, and nothing that a device entrusts to
// the server is in it in clear.
func TestTheStoreHoldsNoCredential(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	mac, device := w.enrolled(t, 1)
	if err := mac.SetBootstrapToken(ctx, []byte("the bootstrap token")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.PutArtifact(ctx, wifi("d1", "Headquarters")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.PutAction(ctx, adminapi.Action{Key: "fleet/info", SpecHash: "1", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleDeviceInformation},
		Targets: []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}}}); err != nil {
		t.Fatal(err)
	}
	if err := mac.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	secrets := map[string][]byte{
		"bootstrap token": []byte("the bootstrap token"),
		"profile":         []byte("Headquarters"),
		"answer":          []byte("QueryResponses"),
		"push magic":      []byte(mac.Channel().PushMagic()),
	}
	w.addKeys(t, secrets, "push/tls.key", "identity/1.key", "serving/tls.key", "admin/tls.key", "sealing/k1")
	w.storesNoneOf(t, device.ID, secrets)
}

// The same holds for what PCs and their agents are given.
func TestTheStoreHoldsNoCredentialOfAPC(t *testing.T) {
	w := newWindowsWorld(t)
	ctx := t.Context()
	pc := w.pc(t, 1)
	token := w.windowsToken(t, "fleet/agents")
	pc.InstallAgent("https://"+serverfiles.Host, token)
	pollUntil(t, pc, func(*windows.Notifications) bool { return pc.Enrolled() })
	w.converse(t, pc)
	device := w.awaitPC(t, pc)
	if _, err := w.admin.PutArtifact(ctx, camera(t, "d1", "731973197")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.PutAssignments(ctx, adminapi.AssignmentBatch{Assignments: []adminapi.Assignment{
		{DeviceID: device.ID, EnrollmentID: device.EnrollmentID, Artifacts: []adminapi.Key{"fleet/camera"}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.PutAction(ctx, adminapi.Action{Key: "fleet/name", SpecHash: "1", Targets: []adminapi.ActionTarget{{DeviceID: device.ID, EnrollmentID: device.EnrollmentID}},
		Windows: &adminapi.WindowsCommand{RequestType: adminapi.WindowsRaw, Commands: []adminapi.SyncMLCommand{{Verb: adminapi.VerbGet, LocURI: "./DevDetail/OEM"}}}}); err != nil {
		t.Fatal(err)
	}
	w.converse(t, pc)
	if node, _ := pc.Node(cameraURI); node.Data != "731973197" {
		t.Fatalf("the PC has %+v", node)
	}
	secrets := map[string][]byte{
		"token":         []byte(token),
		"node key":      []byte(pc.NodeKey()),
		"digest secret": []byte(pc.Provisioning().ToServer.Secret),
		"profile":       []byte("731973197"),
		"command":       []byte("DevDetail/OEM"),
	}
	w.addKeys(t, secrets, "wstep/1.key", "sealing/k1")
	w.storesNoneOf(t, device.ID, secrets)
}

// addKeys adds the content of mounted files.
func (w *world) addKeys(t *testing.T, secrets map[string][]byte, files ...string) {
	t.Helper()
	for _, name := range files {
		content, err := os.ReadFile(filepath.Join(w.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if block, _ := pem.Decode(content); block != nil {
			content = block.Bytes
		}
		secrets[name] = content
	}
}

// storesNoneOf fails if one of the secrets can be read in the store, which has the id of a device in clear.
func (w *world) storesNoneOf(t *testing.T, deviceID string, secrets map[string][]byte) {
	t.Helper()
	stored := w.stored(t)
	if !bytes.Contains(stored, []byte(deviceID)) {
		t.Fatal("this is not the store")
	}
	for name, secret := range secrets {
		encoded := []byte(base64.StdEncoding.EncodeToString(secret))
		if bytes.Contains(stored, secret) || bytes.Contains(stored, encoded[:min(len(encoded), 60)]) { // PEM breaks lines after 64
			t.Errorf("the store holds the %s", name)
		}
	}
}

// stored is all that the store has written.
func (w *world) stored(t *testing.T) []byte {
	t.Helper()
	files, err := filepath.Glob(w.Config.Store.SQLite.Path + "*") // the write-ahead log too
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}
