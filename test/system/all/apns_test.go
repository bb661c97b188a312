package all

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/system/harness"
)

// TestPushCertificate has three actors: Apple, an MDM vendor with its own tool, and a customer with a cluster. It goes from an empty namespace to devices
// that are woken. A year goes by at once: the certificate is issued 364 days ago, ends tomorrow, and is renewed as the runbook says while pushes flow.
func TestPushCertificate(t *testing.T) {
	a := &actors{fleet: fleet{Walk: harness.Start(t, "kubemdm-apns")}, dir: t.TempDir(), log: t.Logf}
	a.age.Store(int64(364 * 24 * time.Hour))
	a.AppleClock = func() time.Time { return time.Now().Add(-time.Duration(a.age.Load())) }
	harness.Take(t, a.ToApple()...)
	harness.Take(t,
		harness.Step{Title: "a vendor gets its certificate from Apple", Do: a.becomeVendor},
		harness.Step{Title: "the customer's request is made", Do: a.request},
		harness.Step{Title: "the vendor signs it, Apple issues, the certificate is in use", Do: a.issue},
		a.ServerStep(),
		a.MacsStep(),
		harness.Step{Title: "a push wakes every Mac", Do: func(ctx context.Context) error { return a.woken(ctx, "first") }},
		harness.Step{Title: "the certificate ends tomorrow, as everybody is told", Do: a.endsTomorrow},
		harness.Step{Title: "the certificate is renewed while pushes flow", Do: a.renew},
		harness.Step{Title: "no push was lost, and the pod is the same", Do: a.nothingLost},
		harness.Step{Title: "the same topic, another key", Do: a.sameTopic},
		harness.Step{Title: "no key, token or challenge is in the store, a log or an environment", Do: a.keptSecrets},
	)
}

// actors are what one step hands to the next.
type actors struct {
	fleet
	dir           string // where files go from hand to hand
	plugin, sign  *harness.Tool
	before, after *mdmv1alpha1.APNSCertificate
	secrets       map[string][]byte
	pod           *corev1.Pod
	age           atomic.Int64 // how long ago it is at Apple, in nanoseconds
	commands      []string
	log           func(format string, args ...any)
}

func (a *actors) file(name string) string { return filepath.Join(a.dir, name) }

// becomeVendor is flow 1 of the seed: the vendor's key and request, and Apple's answer as it is downloaded.
func (a *actors) becomeVendor(ctx context.Context) (err error) {
	if a.sign, err = harness.Build(ctx, a.dir, "./tools/vendorsign"); err != nil {
		return err
	}
	if a.plugin, err = harness.Build(ctx, a.dir, "./cmd/kubectl-mdm"); err != nil {
		return err
	}
	if _, err := a.sign.Run(ctx, "csr", "--key=vendor.key", "--output=vendor.csr"); err != nil {
		return err
	}
	csr, err := os.ReadFile(a.file("vendor.csr"))
	if err != nil {
		return err
	}
	block, _ := pem.Decode(csr)
	leaf, err := a.Apple.VendorFromCSR(block.Bytes)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(a.file("mdm.cer"), leaf.Raw, 0o600), os.WriteFile(a.file("apple.pem"), a.Apple.AuthoritiesPEM(), 0o600))
}

func (a *actors) mdm(ctx context.Context, args ...string) (string, error) {
	return a.plugin.Run(ctx, append(args, "--namespace="+a.Namespace)...)
}

func (a *actors) push() *mdmv1alpha1.APNSCertificate {
	return &mdmv1alpha1.APNSCertificate{ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: harness.PushName}}
}

func (a *actors) request(ctx context.Context) error {
	push := a.push()
	push.Spec.AppleAccount = "mdm@example.com"
	if err := a.Create(ctx, push); err != nil {
		return err
	}
	if err := a.Wait(ctx, "the request", a.Satisfied(push, mdmv1alpha1.APNSCertificateCSRReady)); err != nil {
		return err
	}
	if !strings.Contains(push.Status.NextStep, "kubectl mdm apns request push --csr") {
		return fmt.Errorf("the next step is %q", push.Status.NextStep)
	}
	return nil
}

// signed carries the request to the vendor and back, and writes the file to upload.
func (a *actors) signed(ctx context.Context) ([]byte, error) {
	for _, earlier := range []string{"push.csr", "push.req", "upload"} {
		_ = os.Remove(a.file(earlier))
	}
	if _, err := a.mdm(ctx, "apns", "request", harness.PushName, "--csr", "--output="+a.file("push.csr")); err != nil {
		return nil, err
	}
	if _, err := a.sign.Run(ctx, "sign", "--key=vendor.key", "--certificate=mdm.cer", "--chain=apple.pem", "--output=push.req", "push.csr"); err != nil {
		return nil, err
	}
	signed, err := os.ReadFile(a.file("push.req"))
	if err != nil {
		return nil, err
	}
	patch := fmt.Appendf(nil, `{"spec": {"vendor": {"type": "Manual", "manual": {"signedRequest": %q}}}}`, signed)
	if err := a.Patch(ctx, a.push(), client.RawPatch(types.MergePatchType, patch)); err != nil {
		return nil, err
	}
	if err := a.Wait(ctx, "the signature to be found good", a.Satisfied(a.push(), mdmv1alpha1.APNSCertificateVendorSigned)); err != nil {
		return nil, err
	}
	if _, err := a.mdm(ctx, "apns", "request", harness.PushName, "--output="+a.file("upload")); err != nil {
		return nil, err
	}
	return os.ReadFile(a.file("upload"))
}

func (a *actors) take(ctx context.Context, certificate []byte) error {
	if err := os.WriteFile(a.file("apple-returned.pem"), certificate, 0o600); err != nil {
		return err
	}
	_, err := a.mdm(ctx, "apns", "import", harness.PushName, a.file("apple-returned.pem"))
	return err
}

func (a *actors) issue(ctx context.Context) error {
	upload, err := a.signed(ctx)
	if err != nil {
		return err
	}
	certificate, err := a.Apple.Portal().Create(upload)
	if err != nil {
		return err
	}
	if err := a.take(ctx, certificate); err != nil {
		return err
	}
	a.before = a.push()
	if err := a.Wait(ctx, "the push certificate", a.Satisfied(a.before, mdmv1alpha1.ConditionReady, mdmv1alpha1.APNSCertificateCSRReady)); err != nil {
		return err
	}
	a.secrets = map[string][]byte{}
	return a.remember(ctx, "the first push key")
}

// remember keeps the private key in use, to look for it later.
func (a *actors) remember(ctx context.Context, name string) error {
	secret := &corev1.Secret{}
	if err := a.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: a.push().KeySecretName()}, secret); err != nil {
		return err
	}
	block, _ := pem.Decode(secret.Data[corev1.TLSPrivateKeyKey])
	if block == nil {
		return errors.New("the Secret holds no key")
	}
	a.secrets[name] = block.Bytes
	return nil
}

// woken asks every Mac something and waits for the answers: the Macs connect when they are woken only.
func (a *actors) woken(ctx context.Context, name string) error {
	if err := a.askAll(ctx, name); err != nil {
		return err
	}
	return a.done(ctx, name)
}

func (a *actors) askAll(ctx context.Context, name string) error {
	err := a.Create(ctx, &mdmv1alpha1.DeviceCommand{
		ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: name},
		Spec: mdmv1alpha1.DeviceCommandSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: harness.ServerName},
			Target:    mdmv1alpha1.CommandTarget{Selector: &metav1.LabelSelector{}},
			Action:    mdmv1alpha1.CommandAction{Type: mdmv1alpha1.ActionDeviceInformation},
		},
	})
	if err == nil { // the last of a flow that was stopped may not be there
		a.commands = append(a.commands, name)
	}
	return err
}

func (a *actors) done(ctx context.Context, name string) error {
	command := &mdmv1alpha1.DeviceCommand{ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: name}}
	return a.Wait(ctx, name, a.Satisfied(command, mdmv1alpha1.DeviceCommandSucceeded))
}

// endsTomorrow is what the runbook begins with. The renewal has begun by itself.
func (a *actors) endsTomorrow(ctx context.Context) error {
	a.age.Store(0)
	status, err := a.mdm(ctx, "apns", "status", harness.PushName)
	if err != nil {
		return err
	}
	a.log("kubectl mdm apns status push\n%s", status)
	for _, word := range []string{"less than a day left", "mdm@example.com", a.before.Status.Topic, "kubectl mdm apns request push --csr"} {
		if !strings.Contains(status, word) {
			return fmt.Errorf("the status does not say %q", word)
		}
	}
	return nil
}

// renew goes through a renewal while commands, and so pushes, flow.
func (a *actors) renew(ctx context.Context) (err error) {
	if a.pod, err = a.serverPod(ctx); err != nil {
		return err
	}
	flowing, stop := context.WithCancel(ctx)
	defer stop()
	var flow sync.WaitGroup
	var broken error
	flow.Go(func() { broken = a.flow(flowing) })
	err = a.renewal(ctx)
	stop()
	flow.Wait()
	return errors.Join(err, broken)
}

// flow has every Mac woken once a second or so.
func (a *actors) flow(ctx context.Context) error {
	for i := 0; ctx.Err() == nil; i++ {
		if err := a.woken(ctx, fmt.Sprintf("during-%d", i)); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (a *actors) renewal(ctx context.Context) error {
	upload, err := a.signed(ctx)
	if err != nil {
		return err
	}
	certificate, err := a.Apple.Portal().Renew(a.before.Status.Topic, upload)
	if err != nil {
		return err
	}
	if err := a.take(ctx, certificate); err != nil {
		return err
	}
	a.after = a.push()
	if err := a.Get(ctx, client.ObjectKeyFromObject(a.after), a.after); err != nil {
		return err
	}
	want := float64(a.after.Status.NotAfter.Unix())
	err = a.Wait(ctx, "the server to use the renewed certificate", func(ctx context.Context) (bool, string, error) {
		end, err := a.metric(ctx, `kubemdm_server_certificate_expiry_timestamp_seconds{certificate="push"}`)
		return end == want, fmt.Sprintf("%f, not %f", end, want), err
	})
	if err != nil {
		return err
	}
	taken, err := a.metric(ctx, accepted)
	if err != nil {
		return err
	}
	return a.Wait(ctx, "pushes with the renewed certificate", func(ctx context.Context) (bool, string, error) {
		now, err := a.metric(ctx, accepted)
		return now >= taken+10, fmt.Sprintf("%.0f after %.0f", now, taken), err
	})
}

const accepted = `kubemdm_server_pushes_total{outcome="Accepted"}`

// metric reads one of the server's.
func (a *actors) metric(ctx context.Context, name string) (float64, error) {
	text, err := a.Metrics(ctx, a.Namespace, a.pod.Name)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("the server has no metric %s", name)
}

func (a *actors) nothingLost(ctx context.Context) error {
	for _, name := range a.commands {
		if err := a.done(ctx, name); err != nil {
			return err
		}
	}
	for _, outcome := range []string{"Retry", "Rejected", "Unregistered"} {
		n, err := a.metric(ctx, fmt.Sprintf(`kubemdm_server_pushes_total{outcome=%q}`, outcome))
		if err != nil || n != 0 {
			return errors.Join(err, fmt.Errorf("%.0f pushes ended as %s", n, outcome))
		}
	}
	pod, err := a.serverPod(ctx)
	if err != nil {
		return err
	}
	if restarts := pod.Status.ContainerStatuses[0].RestartCount; pod.UID != a.pod.UID || restarts != 0 {
		return fmt.Errorf("the pod was replaced (%s, %s) or restarted %d times", a.pod.UID, pod.UID, restarts)
	}
	n, err := a.metric(ctx, accepted)
	a.log("%.0f pushes were accepted and none was lost, for %d commands to each Mac", n, len(a.commands))
	return err
}

func (a *actors) sameTopic(ctx context.Context) error {
	first := a.secrets["the first push key"]
	if err := a.remember(ctx, "the second push key"); err != nil {
		return err
	}
	before, after := a.before.Status, a.after.Status
	if before.Topic != after.Topic || before.Fingerprint == after.Fingerprint || string(first) == string(a.secrets["the second push key"]) {
		return fmt.Errorf("topic %s and %s, fingerprint %s and %s", before.Topic, after.Topic, before.Fingerprint, after.Fingerprint)
	}
	return nil
}
