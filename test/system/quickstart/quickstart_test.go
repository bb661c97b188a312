// Package quickstart works through docs/quickstart.md on a real cluster: its commands as they are written, and its manifests as they are. The test is the
// world around it: the release's images, an issuer called letsencrypt, the vendor, Apple's portal, public DNS, and a simulated Mac in the place of the real one.
package quickstart

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/applepki"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/golden"
	"github.com/kubemdm/kubemdm/test/page"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

const (
	root = "../../.."
	// namespace, issuer and the files are those of the page.
	namespace   = "fleet"
	issuer      = "letsencrypt"
	certificate = "MDM_Example_Certificate.pem"
	section     = "## Your cluster and a real Mac"
	serial      = "C02XL0THJGH5"
)

func TestQuickstart(t *testing.T) {
	q := &person{Walk: harness.Start(t, namespace), t: t, dir: t.TempDir()}
	harness.Take(t,
		harness.Step{Title: "the world around the quickstart is there", Do: q.prepare},
		harness.Step{Title: "the page was followed to its end", Do: q.follow},
		harness.Step{Title: "the Mac has the profile, and has restarted", Do: q.managed},
		harness.Step{Title: "the plugin shows what the documentation shows", Do: q.look},
	)
}

// person follows the page.
type person struct {
	*harness.Walk
	t     *testing.T
	dir   string
	shell *harness.Shell
	macs  *devicesim.Fleet
	// printed is what the last command printed.
	printed string
}

func (q *person) prepare(ctx context.Context) (err error) {
	if err := q.DeleteNamespace(ctx, namespace); err != nil {
		return err
	}
	if err := harness.Uninstall(ctx); err != nil && !strings.Contains(err.Error(), "not found") {
		return err
	}
	if err := harness.LoadRelease(ctx, q.dir); err != nil {
		return err
	}
	if q.shell, err = harness.NewShell(ctx, q.dir); err != nil {
		return err
	}
	if q.Apple, err = applepki.New(time.Now); err != nil {
		return err
	}
	if err := q.vendor(); err != nil {
		return err
	}
	return q.issue(ctx)
}

// vendor lays out the files that an MDM vendor has.
func (q *person) vendor() error {
	leaf, key, err := q.Apple.Vendor(applepki.VendorOptions{})
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		q.write("mdm.cer", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})),
		q.write("vendor.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		q.write("apple.pem", q.Apple.AuthoritiesPEM()))
}

func (q *person) write(name string, content []byte) error {
	return os.WriteFile(filepath.Join(q.dir, name), content, 0o600)
}

// issue makes the issuer: what it issues is trusted by nobody but by whom this test tells so.
func (q *person) issue(ctx context.Context) error {
	if err := cmapi.AddToScheme(q.Scheme()); err != nil {
		return err
	}
	i := &cmapi.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: issuer}}
	i.Spec.SelfSigned = &cmapi.SelfSignedIssuer{}
	if err := client.IgnoreAlreadyExists(q.Create(ctx, i)); err != nil {
		return err
	}
	q.t.Cleanup(func() {
		if err := q.Delete(context.WithoutCancel(ctx), i); err != nil {
			q.t.Error(err)
		}
	})
	return nil
}

// follow types every command and applies every manifest of the section, in their order.
func (q *person) follow(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(root, "docs/quickstart.md"))
	if err != nil {
		return err
	}
	_, text2, found := strings.Cut(string(text), section)
	if !found {
		return fmt.Errorf("docs/quickstart.md has no section %q", section)
	}
	for _, b := range page.Blocks(text2) {
		switch b.Language {
		case "yaml":
			err = errors.Join(q.write("example.yaml", []byte(b.Text)), q.run(ctx, "kubectl apply --filename=example.yaml"))
		case "console":
			for _, command := range page.Commands(b.Text) {
				if err = q.meanwhile(ctx, command); err != nil {
					break
				}
				if err = q.run(ctx, command); err != nil {
					break
				}
				if err = q.afterwards(ctx, command); err != nil {
					break
				}
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (q *person) run(ctx context.Context, command string) (err error) {
	if strings.HasPrefix(command, "go install") {
		return nil // NewShell has built it
	}
	q.printed, err = q.shell.Run(ctx, command)
	q.t.Logf("$ %s\n%s", command, q.printed)
	return err
}

// meanwhile is what a person does elsewhere before a command: the request goes to Apple's portal, the certificate comes back.
func (q *person) meanwhile(ctx context.Context, command string) error {
	if !strings.HasSuffix(command, certificate) {
		return nil
	}
	push := &mdmv1alpha1.APNSCertificate{}
	if err := q.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "push"}, push); err != nil {
		return err
	}
	returned, err := q.Apple.Portal().Create([]byte(push.Status.PushCertificateRequest))
	if err != nil {
		return err
	}
	return q.write(certificate, returned)
}

// afterwards is what a person does with what a command printed: the address of the token is opened on the Mac.
func (q *person) afterwards(ctx context.Context, command string) error {
	if !strings.Contains(command, "design-enrollment") {
		return nil
	}
	address := strings.TrimSpace(q.printed)
	pool := x509.NewCertPool()
	serving := &corev1.Secret{}
	if err := q.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "mdm-serving"}, serving); err != nil {
		return err
	}
	pool.AppendCertsFromPEM(serving.Data[corev1.TLSCertKey])
	web := devicesim.NewClient(pool)
	web.Transport.(*http.Transport).DialContext = q.resolve
	keys := devicesim.NewKeyPool(1)
	var err error
	q.macs, err = devicesim.NewFleet(1, func(int) devicesim.Options {
		hardware := devicesim.Mac("QUICK", 1)
		hardware.SerialNumber = serial
		return devicesim.Options{Hardware: hardware, Roots: pool, Client: web, Key: keys.Key, RetryInterval: time.Second}
	})
	if err != nil {
		return err
	}
	if err := q.macs.Enroll(ctx, 1, address); err != nil {
		return err
	}
	return q.Wait(ctx, "the Mac to appear", func(ctx context.Context) (bool, string, error) {
		devices := &mdmv1alpha1.DeviceList{}
		err := q.List(ctx, devices, client.InNamespace(namespace))
		return len(devices.Items) == 1, fmt.Sprintf("%d devices", len(devices.Items)), err
	})
}

// resolve is public DNS: every name is that of the server.
func (q *person) resolve(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	service := &corev1.Service{}
	if err := q.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "mdm"}, service); err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(service.Spec.ClusterIP, port))
}

// managed lets the Mac call by itself, since nothing here leads to Apple's push service, until it has done what the page asked for.
func (q *person) managed(ctx context.Context) error {
	profile := &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "screen-lock"}}
	restart := &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "restart-design"}}
	converged := q.Satisfied(profile, mdmv1alpha1.ConditionReady, mdmv1alpha1.ProfileConverged)
	succeeded := q.Satisfied(restart, mdmv1alpha1.DeviceCommandSucceeded)
	return q.Wait(ctx, "the Mac to follow", func(ctx context.Context) (bool, string, error) {
		if err := q.macs.Idle(ctx, 1); err != nil {
			return false, "", err
		}
		for _, check := range []harness.Check{converged, succeeded} {
			if done, missing, err := check(ctx); !done || err != nil {
				return false, missing, err
			}
		}
		return true, "", nil
	})
}

// look compares what the plugin prints about this fleet with the files that the documentation shows.
func (q *person) look(ctx context.Context) error {
	device := &mdmv1alpha1.DeviceList{}
	if err := q.List(ctx, device, client.InNamespace(namespace)); err != nil {
		return err
	}
	for file, command := range map[string]string{
		"status.txt": "kubectl mdm --namespace fleet status",
		"device.txt": "kubectl mdm --namespace fleet device " + device.Items[0].Name,
	} {
		if err := q.run(ctx, command); err != nil {
			return err
		}
		path := filepath.Join(root, "docs/examples/output", file)
		shown, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if got := settle(q.printed); lines(got) != lines(string(shown)) {
			golden.Check(q.t, path, []byte(got))
		}
	}
	return nil
}

// changing are the parts of an output that are others in every run, and what stands for them in the documentation.
var changing = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "3f8a0c91-d2b4-4e6f-8a1b-2c3d4e5f6a7b"},
	{regexp.MustCompile(`\bapple-[0-9a-f]{10}\b`), "apple-df6ad29149"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\b`), "2026-11-28 12:00:00"},
	{regexp.MustCompile(`\b20\d\d-\d\d-\d\d \d\d:\d\d UTC`), "2026-11-28 12:00 UTC"},
	{regexp.MustCompile(`\b\d+(s|m|m\d+s)\b`), "5s"},
	{regexp.MustCompile(`\b(v[0-9.]+-\d+-g)?[0-9a-f]{7}(-dirty)? `), "v0.2.0 "},
	{regexp.MustCompile(`(PrivateCA +)[01]( +)[01]( +)[01]`), "${1}1${2}1${3}0"}, // counted once a minute
	{regexp.MustCompile(` +\n`), "\n"},
}

func settle(text string) string {
	for _, c := range changing {
		text = c.what.ReplaceAllString(text, c.by)
	}
	return text
}

var blanks = regexp.MustCompile(` {2,}`)

// lines are what an output says: the width of columns follows the longest cell, and the Mac may get its profile before or after the restart.
func lines(text string) string {
	all := strings.Split(blanks.ReplaceAllString(text, "  "), "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}
