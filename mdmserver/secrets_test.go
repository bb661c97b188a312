package mdmserver_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubemdm/kubemdm/internal/adminapi"
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
	for _, name := range []string{"push/tls.key", "identity/1.key", "serving/tls.key", "admin/tls.key", "sealing/k1"} {
		content, err := os.ReadFile(filepath.Join(w.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if block, _ := pem.Decode(content); block != nil {
			content = block.Bytes
		}
		secrets[name] = content
	}
	stored := w.stored(t)
	if !bytes.Contains(stored, []byte(device.ID)) {
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
