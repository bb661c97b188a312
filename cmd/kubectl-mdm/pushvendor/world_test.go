package pushvendor_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/pushvendor"
	"github.com/kubemdm/kubemdm/test/applepki"
)

// apple is shared by all tests, since its keys take their time.
var apple = sync.OnceValue(func() *applepki.Apple {
	a, err := applepki.New(time.Now)
	if err != nil {
		panic(err)
	}
	return a
})

// result is what a command did.
type result struct {
	out, errOut string
	err         error
}

// run runs "kubectl mdm vendor" in the current folder.
func run(t *testing.T, in []byte, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	c := pushvendor.Command()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	c.SetIn(bytes.NewReader(in))
	c.SetOut(&out)
	c.SetErr(&errOut)
	err := c.ExecuteContext(t.Context())
	return result{out.String(), errOut.String(), err}
}

// expect wants an error that says something, and nothing when want is "".
func (r result) expect(t *testing.T, want string) {
	t.Helper()
	switch {
	case want == "" && r.err != nil:
		t.Fatalf("failed: %v", r.err)
	case want != "" && (r.err == nil || !strings.Contains(r.err.Error(), want)):
		t.Errorf("got %v, want an error that says %q", r.err, want)
	case want != "" && r.out != "":
		t.Errorf("it failed, and printed %s", r.out)
	}
}

// folder moves the test into a new folder with Apple's certificates, a customer's request, and the vendor's pair.
func folder(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	leaf, key, err := apple().Vendor(applepki.VendorOptions{NotAfter: time.Now().Add(30*24*time.Hour + time.Hour)})
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	save(t, "mdm.cer", leaf.Raw)
	save(t, "vendor.key", encode("PRIVATE KEY", der))
	save(t, "g3.cer", apple().WWDR(applepki.G3).Raw)
	save(t, "g6.pem", apple().WWDRPEM(applepki.G6))
	save(t, "root.cer", apple().Root().Raw)
	shell(t, `openssl req -new -newkey rsa:2048 -nodes -keyout customer.key -subj "/C=DE/O=Customer/emailAddress=mdm@example.com" -out customer.csr 2>/dev/null`)
}

// sign are the arguments that sign the customer's request.
func sign(more ...string) []string {
	return append([]string{"sign", "--key", "vendor.key", "--certificate", "mdm.cer", "--chain", "g6.pem", "--chain", "root.cer", "--chain", "g3.cer"}, more...)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func shell(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func save(t *testing.T, name string, content []byte) {
	t.Helper()
	must(t, os.WriteFile(name, content, 0o600))
}

func load(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	must(t, err)
	return b
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
