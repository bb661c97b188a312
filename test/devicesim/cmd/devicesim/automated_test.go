package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// writeCA makes a device CA once for all tests.
var writeCA = sync.OnceValues(func() (map[string][]byte, error) {
	ca, err := applepki.NewDeviceCA(time.Now)
	if err != nil {
		return nil, err
	}
	return ca.Files()
})

// deviceCA is a folder with a device CA.
func deviceCA(t *testing.T) string {
	t.Helper()
	files, err := writeCA()
	must(t, err)
	dir := t.TempDir()
	for name, content := range files {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return dir
}

// A Mac of an organisation enrols by itself once it has a setup-assistant profile, leaves Setup Assistant when it is told to, and comes back erased.
func TestMacsOfAnOrganisation(t *testing.T) {
	files, admin, control := startServer(t)
	token := func(name string) string {
		hash := sha256.Sum256([]byte(name))
		_, err := admin.PutToken(t.Context(), adminapi.Token{
			Key: adminapi.Key("fleet/" + strings.ToLower(name)), Hash: hex.EncodeToString(hash[:]), Platforms: []adminapi.Platform{adminapi.PlatformApple},
		})
		must(t, err)
		return "https://" + files.Config.Host + "/enroll/" + name
	}
	profiles := token("ADE")
	client := devicesim.NewClient(files.WebCA.Pool())
	// It stands in for the server's endpoint, and gives the profile of a token to whoever posts.
	organisation := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password := r.PostFormValue("username"), r.PostFormValue("password"); user != "ada" || password != "secret" {
			w.Header().Set("Content-Type", "text/html")
			return
		}
		reply, err := client.Get(profiles)
		if err != nil {
			t.Error(err)
			return
		}
		defer reply.Body.Close()
		w.Header().Set("Content-Type", reply.Header.Get("Content-Type"))
		w.WriteHeader(reply.StatusCode)
		_, err = io.Copy(w, reply.Body)
		if err != nil {
			t.Error(err)
		}
	}))
	organisation.StartTLS()
	defer organisation.Close()
	var asked sync.Map
	activation := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, again := asked.LoadOrStore(r.URL.Path, true); !again {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		err := json.NewEncoder(w).Encode(map[string]any{
			"profile_name": "Office", "url": organisation.URL, "configuration_web_url": organisation.URL, "is_supervised": true,
			"anchor_certs": [][]byte{organisation.Certificate().Raw}, "await_device_configured": true,
		})
		if err != nil {
			t.Error(err)
		}
	}))
	defer activation.Close()
	files.Put(t, "password", []byte("secret\n"))
	see := start(t, "--ade-activation", activation.URL+"/{serial}", "--ade-ca-dir", deviceCA(t), "--ade-user", "ada", "--ade-password-file", filepath.Join(files.Dir, "password"),
		"--ca", filepath.Join(files.Dir, "serving", "ca.crt"), "--serial-prefix", "ADE", "--push-control", control, "--retry-interval", "10ms")
	see("ADE000000001 failed to enrol: the device has no setup-assistant profile", "ADE000000001 enrolled")
	devices, err := adminapi.All(t.Context(), admin.Devices)
	must(t, err)
	action := adminapi.Action{Key: "fleet/erase", SpecHash: "h", Apple: &adminapi.AppleCommand{RequestType: adminapi.AppleEraseDevice, GeneratePIN: true}}
	action.Targets = []adminapi.ActionTarget{{DeviceID: devices[0].ID, EnrollmentID: devices[0].EnrollmentID}}
	_, err = admin.PutAction(t.Context(), action)
	must(t, err)
	see("ADE000000001 was erased", "ADE000000001 enrolled")
}
