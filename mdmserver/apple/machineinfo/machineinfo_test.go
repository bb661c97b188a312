package machineinfo_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/kubemdm/kubemdm/mdmserver/apple/machineinfo"
	"github.com/kubemdm/kubemdm/test/applepki"
)

const document = `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>
	<key>SERIAL</key><string>C02XK0AAJG5H</string><key>UDID</key><string>66ADE930-5FDF-5EC4-8429-15640684C489</string>
	<key>PRODUCT</key><string>Mac15,3</string><key>VERSION</key><string>24E248</string><key>OS_VERSION</key><string>15.4</string>
	<key>IMEI</key><string>35 000000 000000 0</string><key>LANGUAGE</key><string>en_GB</string>
	<key>MDM_CAN_REQUEST_SOFTWARE_UPDATE</key><true/><key>SOFTWARE_UPDATE_DEVICE_ID</key><string>J504AP</string>
	<key>SOMETHING_NEW</key><array/></dict></plist>`

// factory makes the authorities once: RSA keys take their time.
var factory = sync.OnceValue(func() (f struct {
	ca, other *applepki.DeviceCA
	device    *applepki.DeviceIdentity
}) {
	f.ca, f.other = must(applepki.NewDeviceCA(time.Now)), must(applepki.NewDeviceCA(time.Now))
	f.device = must(f.ca.Issue("a device", applepki.DeviceOptions{}))
	return f
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func roots() []*x509.Certificate { return []*x509.Certificate{factory().ca.Root()} }

func TestParse(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	want := machineinfo.Info{
		SerialNumber: "C02XK0AAJG5H", UDID: "66ADE930-5FDF-5EC4-8429-15640684C489", Product: "Mac15,3", Build: "24E248", OSVersion: "15.4",
		IMEI: "35 000000 000000 0", Language: "en_GB", CanRequestSoftwareUpdate: true, SoftwareUpdateDeviceID: "J504AP",
	}
	for name, o := range map[string]applepki.DeviceOptions{
		"as old devices do":     {},
		"SHA-256":               {SHA256: true},
		"signed attributes":     {Attributes: true},
		"both":                  {SHA256: true, Attributes: true},
		"an elliptic curve":     {SHA256: true, Key: key},
		"a valid certificate":   {NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)},
		"a certificate to come": {NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)},
		"older than its issuer": {NotBefore: time.Now().AddDate(-20, 0, 0), NotAfter: time.Now().AddDate(-19, 0, 0), Attributes: true},
	} {
		t.Run(name, func(t *testing.T) {
			message := must(must(factory().ca.Issue("a device", o)).Sign([]byte(document)))
			if got, err := machineinfo.Parse(message, roots()); err != nil || got != want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// Trust in the issuer itself needs nothing above it.
func TestThePinnedIssuer(t *testing.T) {
	message := must(factory().device.WithChain().Sign([]byte(document)))
	if _, err := machineinfo.Parse(message, factory().ca.Parents()[:1]); err != nil {
		t.Error(err)
	}
	if _, err := machineinfo.Parse(message, roots()); !errors.Is(err, machineinfo.ErrSigner) {
		t.Errorf("without the chain to the root: %v", err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	f := factory()
	parents := f.ca.Parents()
	for name, message := range map[string][]byte{
		"another authority of the same names":    must(must(f.other.Issue("a device", applepki.DeviceOptions{})).Sign([]byte(document))),
		"with the chain of Apple's":              must(must(f.other.Issue("a device", applepki.DeviceOptions{})).WithChain(parents...).Sign([]byte(document))),
		"a hole in the chain":                    must(f.device.WithChain(parents[0]).Sign([]byte(document))),
		"a developer, not a device":              signedByADeveloper(t),
		"an authority, not a device":             signedByAnAuthority(t),
		"an authority that is a device":          signedBelowADevice(t),
		"signed by nobody's certificate at all":  signedBySelf(t),
		"the message of a device, signed by two": signedTwice(t),
	} {
		t.Run(name, func(t *testing.T) {
			want := machineinfo.ErrSigner
			if strings.HasSuffix(name, "two") {
				want = machineinfo.ErrUnsigned
			}
			if _, err := machineinfo.Parse(message, roots()); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
	if _, err := machineinfo.Parse(must(f.device.Sign([]byte(document))), nil); !errors.Is(err, machineinfo.ErrSigner) {
		t.Errorf("Apple itself is trusted, and no fake: %v", err)
	}
}

func TestWhatIsNotSignedIsRefused(t *testing.T) {
	f := factory()
	attributed := must(f.ca.Issue("a device", applepki.DeviceOptions{Attributes: true}))
	other := bytes.Replace([]byte(document), []byte("C02XK0AAJG5H"), []byte("C02XK0AAJG5X"), 1)
	swap := func(message []byte) []byte {
		return bytes.Replace(message, []byte("C02XK0AAJG5H"), []byte("C02XK0AAJG5X"), 1)
	}
	unsigned := must(pkcs7.NewSignedData([]byte(document)))
	sha384 := must(pkcs7.NewSignedData([]byte(document)))
	sha384.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA384)
	if err := sha384.SignWithoutAttr(f.device.Certificate, f.device.Key, pkcs7.SignerInfoConfig{}); err != nil {
		t.Fatal(err)
	}
	for _, parent := range f.ca.Parents() {
		sha384.AddCertificate(parent)
	}
	for name, message := range map[string][]byte{
		"nothing":              nil,
		"the document alone":   []byte(document),
		"no CMS":               {0x30, 0x03, 0x02, 0x01, 0x01},
		"cut off":              must(f.device.Sign([]byte(document)))[:500],
		"no signer":            must(unsigned.Finish()),
		"another serial":       swap(must(f.device.Sign([]byte(document)))),
		"another serial again": swap(must(attributed.Sign([]byte(document)))),
		"another algorithm":    must(sha384.Finish()),
		"large":                must(f.device.Sign(append([]byte(document), make([]byte, machineinfo.MaxBody)...))),
		"many certificates":    must(f.device.WithChain(certificates(9)...).Sign(other)),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := machineinfo.Parse(message, roots()); !errors.Is(err, machineinfo.ErrUnsigned) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func certificates(n int) []*x509.Certificate {
	var all []*x509.Certificate
	for range n {
		all = append(all, factory().ca.Root())
	}
	return all
}

func TestContentThatIsNoMachineInfo(t *testing.T) {
	dict := func(pairs string) string { return `<plist version="1.0"><dict>` + pairs + `</dict></plist>` }
	for name, content := range map[string]string{
		"nothing":            "",
		"no property list":   "C02XK0AAJG5H",
		"no serial":          dict("<key>UDID</key><string>u</string>"),
		"a serial of digits": dict("<key>SERIAL</key><integer>1</integer>"),
		"a long serial":      dict("<key>SERIAL</key><string>" + strings.Repeat("C", 256) + "</string>"),
		"a long language":    dict("<key>SERIAL</key><string>C02</string><key>LANGUAGE</key><string>" + strings.Repeat("e", 256) + "</string>"),
		"a bomb":             dict("<key>SERIAL</key>" + strings.Repeat("<array>", 4000)),
		"binary":             "bplist00\xa0\x08\x00",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := machineinfo.Parse(must(factory().device.Sign([]byte(content))), roots())
			if !errors.Is(err, machineinfo.ErrContent) || strings.Contains(err.Error(), "C02") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// FuzzParse begins with two messages of one factory (test/applepki) as old and as new devices sign, made once: a fuzzer starts many processes.
func FuzzParse(f *testing.F) {
	block, _ := pem.Decode(must(os.ReadFile("testdata/root.pem")))
	anchors := []*x509.Certificate{must(x509.ParseCertificate(block.Bytes))}
	var original machineinfo.Info
	for rest := must(os.ReadFile("testdata/messages.pem")); ; {
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		original = must(machineinfo.Parse(block.Bytes, anchors))
		f.Add(block.Bytes)
	}
	f.Add([]byte{0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x80, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		if info, err := machineinfo.Parse(in, anchors); err == nil && info != original {
			t.Errorf("nobody signed %+v", info)
		}
	})
}
