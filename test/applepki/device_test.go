package applepki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/applepki"
)

const machineInfo = "<plist version=\"1.0\"><dict><key>SERIAL</key><string>C02XXXXXXXXX</string></dict></plist>\n"

func newDeviceCA(t *testing.T) (*applepki.DeviceCA, time.Time) {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ca, err := applepki.NewDeviceCA(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return ca, now
}

// OpenSSL finds what devices sign good at a time when their certificates were, and finds nothing else good.
func TestOpenSSLVerifiesWhatADeviceSigned(t *testing.T) {
	ca, _ := newDeviceCA(t)
	stranger, _ := newDeviceCA(t)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]applepki.DeviceOptions{
		"old":                 {},
		"SHA-256":             {SHA256: true},
		"signed attributes":   {Attributes: true},
		"elliptic attributes": {SHA256: true, Attributes: true, Key: curve},
	} {
		t.Run(name, func(t *testing.T) {
			device, err := ca.Issue("UDID-1", o)
			if err != nil {
				t.Fatal(err)
			}
			message, err := device.Sign([]byte(machineInfo))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			write(t, dir, "message.der", message)
			write(t, dir, "ca.pem", ca.RootPEM())
			write(t, dir, "stranger.pem", stranger.RootPEM())
			write(t, dir, "want", []byte(machineInfo))
			shell(t, dir, `verify() { openssl cms -verify -inform DER -in message.der -purpose any -auth_level 0 -CAfile $1 -attime $2 -out content 2>errors; }
at() { date -u -d "$1" +%s; }
verify ca.pem $(at '2023-09-01') || { cat errors; exit 1; }
cmp content want
if verify ca.pem $(at '2026-03-01'); then exit 2; fi
grep -q expired errors
if verify stranger.pem $(at '2023-09-01'); then exit 3; fi
grep -q 'issuer certificate' errors
openssl cms -cmsout -print -inform DER -in message.der >printed
grep -q 'CN=UDID-1' printed`)
			printed := string(read(t, dir, "printed"))
			if got := strings.Contains(printed, "messageDigest"); got != o.Attributes {
				t.Errorf("signed attributes: %t", got)
			}
			if got := strings.Contains(printed, "algorithm: sha256 "); got != o.SHA256 {
				t.Errorf("SHA-256: %t", got)
			}
		})
	}
}

func TestADeviceIsOfTheAge(t *testing.T) {
	ca, now := newDeviceCA(t)
	device, err := ca.Issue("UDID-1", applepki.DeviceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c := device.Certificate; !now.After(c.NotAfter) || c.Subject.CommonName != "UDID-1" || c.Issuer.CommonName != "Apple iPhone Device CA" {
		t.Errorf("an old device: %s until %s", c.Subject, c.NotAfter)
	}
	device, err = ca.Issue("UDID-2", applepki.DeviceOptions{NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if c := device.Certificate; !c.NotBefore.Equal(now.AddDate(-1, 0, 0)) || !c.NotAfter.Equal(now.AddDate(1, 0, 0)) {
		t.Errorf("a new device: from %s until %s", c.NotBefore, c.NotAfter)
	}
}

func TestAMessageCarriesTheGivenChain(t *testing.T) {
	ca, _ := newDeviceCA(t)
	device, err := ca.Issue("UDID-1", applepki.DeviceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		device *applepki.DeviceIdentity
		issuer bool
	}{"as devices do": {device, true}, "alone": {device.WithChain(), false}, "the issuer": {device.WithChain(ca.Parents()[0]), true}} {
		message, err := c.device.Sign([]byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(message), string(ca.Parents()[0].Raw)); got != c.issuer || strings.Contains(string(message), string(ca.Root().Raw)) {
			t.Errorf("%s: issuer %t", name, got)
		}
	}
}

// What one process wrote another one issues with.
func TestTheDeviceCAInAFolder(t *testing.T) {
	ca, now := newDeviceCA(t)
	files, err := ca.Files()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range files {
		write(t, dir, name, content)
	}
	again, err := applepki.ReadDeviceCA(dir, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	device, err := again.Issue("UDID-1", applepki.DeviceOptions{SHA256: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := device.Certificate.CheckSignatureFrom(ca.Parents()[0]); err != nil || !again.Root().Equal(ca.Root()) {
		t.Error(err)
	}
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"no root":     func(t *testing.T, dir string) { remove(t, dir, applepki.DeviceRootFile) },
		"no chain":    func(t *testing.T, dir string) { remove(t, dir, applepki.DeviceChainFile) },
		"no key":      func(t *testing.T, dir string) { remove(t, dir, applepki.DeviceKeyFile) },
		"empty chain": func(t *testing.T, dir string) { write(t, dir, applepki.DeviceChainFile, nil) },
		"bad chain": func(t *testing.T, dir string) {
			write(t, dir, applepki.DeviceChainFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE"}))
		},
		"empty key": func(t *testing.T, dir string) { write(t, dir, applepki.DeviceKeyFile, nil) },
		"bad key":   func(t *testing.T, dir string) { write(t, dir, applepki.DeviceKeyFile, files[applepki.DeviceRootFile]) },
		"another key": func(t *testing.T, dir string) {
			write(t, dir, applepki.DeviceChainFile, files[applepki.DeviceRootFile])
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range files {
				write(t, dir, name, content)
			}
			spoil(t, dir)
			if _, err := applepki.ReadDeviceCA(dir, time.Now); err == nil {
				t.Error("it was read")
			}
		})
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
