package docs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubemdm/kubemdm/test/page"
)

// elsewhere are commands that this package cannot run, and the test that runs them or the reason why none does.
var elsewhere = []struct{ pattern, where string }{
	{`^make demo`, "hack/demo walks the path of test/system/path"},
	{`^make (test|images|verify)|^KUBECONFIG=.* make`, ".ci/run calls these targets"},
	{`^kind |^for image in|cert-manager/releases/download`, "kind needs Docker, and the release a download; hack/cluster and its cert-manager stand for both"},
	{`^helm (install|upgrade|rollback|uninstall)`, "test/system/quickstart and test/system/upgrade"},
	{`^go install`, "TestMain builds what it installs"},
	{`^aws `, "there is no AWS here; test/awsfake stands for it in test/integration/servers"},
	{`^for program in manager`, "config/pkcs11 is built by make test-pkcs11 as far as it is Go"},
	{`^sops `, "the files are placeholders until somebody has a key"},
	{`^openssl s_client`, "no server listens; test/system/quickstart connects to one"},
	{`^kubectl get (apiservice|devicereport|profilereport|deviceevents|--raw)`, "test/integration/live has the live view"},
	{`\| kubectl create --raw /apis/live\.`, "test/integration/live has the live view"},
	{`^kubectl( --namespace[= ]\S+)? (logs|rollout status|port-forward|top) `, "they need a kubelet; test/system/quickstart runs them"},
	{`^openssl pkcs12`, "it asks for a password"},
	{`^#`, "a remark"},
	{`^mdmserver |^vendorsign|^rm serving|^(apnsfake|devicesim) `, "cmd/mdmserver and tools/vendorsign test their commands"},
}

// quickstart is a page that test/system/quickstart runs as a whole.
const quickstart = "docs/quickstart.md"

// parsed are commands of the plugin of which only the flags are judged here: they wait for controllers, ask a live view, a database or Apple.
var parsed = []struct{ pattern, where string }{
	{`^kubectl mdm( --namespace \S+)? apns (request|import)`, "cmd/kubectl-mdm/apns, and test/system/all with a cluster"},
	{`^kubectl mdm( --namespace \S+)? apns mdmcert-download`, "cmd/kubectl-mdm/apns"},
	{`^kubectl mdm vendor (csr|sign|check)`, "cmd/kubectl-mdm/pushvendor"},
	{`^kubectl mdm( --namespace \S+)? (enroll|lock|restart|shutdown|wipe|unenroll|push|pin|release)`, "cmd/kubectl-mdm/act, and test/system/quickstart with a cluster"},
	{`^kubectl mdm( --namespace \S+)? (events|import|report)`, "cmd/kubectl-mdm/events, report and importer; test/nanomdm"},
	{`^kubectl mdm migrate-store`, "cmd/kubectl-mdm/migratestore, and test/integration/plugin with an API server"},
}

func match(command string, table []struct{ pattern, where string }) bool {
	return slices.ContainsFunc(table, func(row struct{ pattern, where string }) bool {
		return regexp.MustCompile(row.pattern).MatchString(command)
	})
}

func TestCommands(t *testing.T) {
	ran, judged, others := 0, 0, 0
	for _, name := range pages(t) {
		t.Run(name, func(t *testing.T) {
			all := page.Blocks(read(t, name))
			if name == quickstart || !slices.ContainsFunc(all, func(b page.Block) bool { return b.Language == "console" }) {
				return
			}
			r := newReader(t, name, all)
			for _, b := range all {
				if b.Language != "console" {
					continue
				}
				for _, command := range page.Commands(b.Text) {
					switch {
					case match(command, elsewhere):
						others++
					case match(command, parsed):
						judged++
						r.run(command + " --help")
					default:
						ran++
						r.run(command)
					}
				}
			}
		})
	}
	t.Logf("%d commands were run, the flags of %d judged, %d are run elsewhere", ran, judged, others)
}

// Every row of the tables is of use, so that a command that is gone takes its exception with it.
func TestNoExceptionIsLeftOver(t *testing.T) {
	var all []string
	for _, name := range pages(t) {
		for _, b := range page.Blocks(read(t, name)) {
			if b.Language == "console" {
				all = append(all, page.Commands(b.Text)...)
			}
		}
	}
	for _, row := range slices.Concat(elsewhere, parsed) {
		if !slices.ContainsFunc(all, regexp.MustCompile(row.pattern).MatchString) {
			t.Errorf("no page has a command like %s", row.pattern)
		}
	}
}

// reader is a person who works through one page, in a namespace and a folder of her own.
type reader struct {
	t        *testing.T
	dir, env string
}

var notInAName = regexp.MustCompile(`[^a-z0-9]+`)

func newReader(t *testing.T, name string, all []page.Block) *reader {
	t.Helper()
	dir := t.TempDir()
	namespace := strings.Trim(notInAName.ReplaceAllString(strings.ToLower(name), "-"), "-")
	r := &reader{t: t, dir: dir}
	prepareFiles(t, dir)
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, admin, 0o600); err != nil {
		t.Fatal(err)
	}
	r.env = kubeconfig
	r.run("kubectl create namespace " + namespace)
	r.run("kubectl config set-context --current --namespace=" + namespace)
	for _, b := range all {
		if b.Language == "yaml" && strings.Contains(b.Text, "apiVersion: mdm.kubemdm.io/") && !strings.Contains(b.Text, "namespace:") {
			r.with(b.Text, "kubectl replace --force --filename=")
		}
	}
	fleet, err := os.ReadFile("testdata/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r.with(string(fleet), "kubectl create --filename=", "AlreadyExists")
	r.with(string(fleet), "kubectl apply --server-side --force-conflicts --subresource=status --selector=with=status --filename=")
	return r
}

// with runs a command with a file of these manifests. Lines of its output that have one of these words are no error.
func (r *reader) with(manifests, command string, ignored ...string) {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(path, []byte(manifests), 0o600); err != nil {
		r.t.Fatal(err)
	}
	command += path
	for _, word := range ignored {
		command = "(" + command + " 2>&1 || true) | (! grep -v -e " + word + " -e ' created$')"
	}
	r.run(command)
}

// patience is for one command; a command that watches is ended by it.
const patience = time.Minute

func (r *reader) run(command string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	script := strings.ReplaceAll(command, " --watch", "") // it would go on for ever
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "PATH="+binaries+":"+os.Getenv("PATH"), "KUBECONFIG="+r.env, "HOME="+r.dir, "KUBECACHEDIR="+binaries, "id=3f8a0c91d2")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && strings.Contains(command, "| grep") {
		return // grep found nothing in what this package prepared
	}
	if err != nil {
		r.t.Errorf("%v\n$ %s\n%s", err, command, out)
	}
}

// prepareFiles makes the files that pages presuppose.
func prepareFiles(t *testing.T, dir string) {
	t.Helper()
	script := `
openssl req -x509 -newkey rsa:2048 -nodes -keyout vendor.key -out mdm.cer -subj /CN=example -days 30
cp mdm.cer push.pem; cp mdm.cer renewed.pem; cp mdm.cer apple.pem; cp mdm.cer vendor.pem; cp vendor.key push.key
cp mdm.cer MDM_Example_Certificate.pem; cp mdm.cer ca.pem; cp mdm.cer scep-ca.pem
openssl pkcs12 -export -in push.pem -inkey push.key -out push.p12 -passout pass:
openssl x509 -in mdm.cer -outform DER -out AppleWWDRCAG3.cer; cp AppleWWDRCAG3.cer AppleIncRootCertificate.cer
for name in api-key.txt signed.plist.b64 pin.txt logo.svg Example_Token_smime.p7m; do echo x > $name; done
mkdir -p .local/bin serving
echo '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "restored"}}' > secrets.json
`
	tree, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	script += fmt.Sprintf("ln -s %[1]s/docs docs; ln -s %[1]s/docs/examples/gitops/clusters clusters\n", tree)
	script += fmt.Sprintf("for name in %s; do echo x > $name; done\n", strings.Join(tokenFiles, " "))
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// tokenFiles are downloads from Apple Business Manager.
var tokenFiles = []string{"Example_Token_2027-06-01_smime.p7m", "Example_Token_2026-07-01T09-00-00Z_smime.p7m", "Example_Token_2027-06-01T09-00-00Z_smime.p7m"}
