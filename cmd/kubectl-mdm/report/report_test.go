package report_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	lt "github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/looktest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/report"
	"github.com/kubemdm/kubemdm/test/golden"
)

func verb(e *cli.Env) *cobra.Command { return report.Command(e, "v0.2.0") }

// planted are secrets, each of which is somewhere in the cluster. None may be in a bundle.
const planted = "PLANTED"

// plant is one of them.
func plant(where string) string { return planted + where }

const (
	serial = "C02XK1ABJG5H"
	udid   = "11111111-2222-3333-4444-555555555555"
	user   = "anna@example.com"
)

func raw(content string) runtime.RawExtension { return runtime.RawExtension{Raw: []byte(content)} }

func pointer(text string) *string { return &text }

// secretive is a cluster with secrets in every place where people put some.
func secretive() []client.Object {
	annotated := map[string]string{
		corev1.LastAppliedConfigAnnotation: `{"spec":{"apple":"` + plant("last-applied") + `"}}`, "example.com/note": plant("annotation"),
		mdmv1alpha1.AnnotationRequestedAt: "2026-07-01T11:00:00Z",
	}
	mac := lt.Device(strings.ToLower(serial), serial, mdmv1alpha1.PlatformApple)
	mac.Annotations, mac.Status.Hardware.UDID, mac.Status.UserPrincipalName, mac.Status.DeviceName = annotated, udid, user, "Anna's Mac"
	lt.With(mac, lt.Not(mdmv1alpha1.DeviceProfilesApplied, mdmv1alpha1.DeviceProfileRefused, "wifi: password="+plant("message")+" is refused by "+serial))

	wifi := &mdmv1alpha1.Profile{ObjectMeta: lt.Meta("wifi"), Spec: mdmv1alpha1.ProfileSpec{Apple: &mdmv1alpha1.AppleProfile{
		Type: mdmv1alpha1.ApplePayloads, Payloads: &mdmv1alpha1.PayloadList{Identifier: "com.example.wifi", Items: []mdmv1alpha1.Payload{{
			Type:         "com.apple.wifi.managed",
			Settings:     raw(`{"SSID_STR":"` + plant("ssid") + `","Password":"` + plant("password") + `","type":"` + plant("type") + `","Proxies":[{"name":"` + plant("deep") + `"}]}`),
			SecretValues: []mdmv1alpha1.SecretValue{{Path: "Password", SecretRef: mdmv1alpha1.KeyReference{Name: "wifi-password", Key: "password"}}},
		}}},
	}}}
	wifi.Annotations = annotated
	file := &mdmv1alpha1.Profile{ObjectMeta: lt.Meta("file"), Spec: mdmv1alpha1.ProfileSpec{Apple: &mdmv1alpha1.AppleProfile{
		Type: mdmv1alpha1.AppleMobileconfig, Mobileconfig: &mdmv1alpha1.ContentSource{Inline: "<plist>" + plant("mobileconfig") + "</plist>"},
	}}}
	firewall := &mdmv1alpha1.Profile{ObjectMeta: lt.Meta("firewall"), Spec: mdmv1alpha1.ProfileSpec{Windows: &mdmv1alpha1.WindowsProfile{
		Type: mdmv1alpha1.WindowsSettings, Settings: []mdmv1alpha1.WindowsSetting{{LocURI: "./Vendor/MSFT/WiFi", Format: mdmv1alpha1.FormatText, Value: pointer(plant("setting"))}},
	}}}
	syncml := &mdmv1alpha1.Profile{ObjectMeta: lt.Meta("syncml"), Spec: mdmv1alpha1.ProfileSpec{Windows: &mdmv1alpha1.WindowsProfile{
		Type: mdmv1alpha1.WindowsSyncML, SyncML: &mdmv1alpha1.SyncMLProfile{ContentSource: mdmv1alpha1.ContentSource{Inline: plant("syncml")}},
	}}}

	command := &mdmv1alpha1.DeviceCommand{ObjectMeta: lt.Meta("raw")}
	command.Spec.Action = mdmv1alpha1.CommandAction{
		Type: "Raw", Raw: &mdmv1alpha1.RawAction{Plist: plant("plist"), Windows: &mdmv1alpha1.RawWindowsCommand{LocURI: "./Device", Data: pointer(plant("data"))}},
		InstallMSI: &mdmv1alpha1.InstallMSIAction{URL: "https://example.com/?x=" + plant("url"), CommandLine: "/quiet KEY=" + plant("commandline")},
	}
	command.Spec.Target.DeviceRef = &mdmv1alpha1.LocalReference{Name: strings.ToLower(serial)}
	command.Status.Results = []mdmv1alpha1.CommandResult{{Device: strings.ToLower(serial), State: "Failed", Message: plant("result")}}

	server := lt.With(&mdmv1alpha1.MDMServer{ObjectMeta: lt.Meta("berlin"), Spec: mdmv1alpha1.MDMServerSpec{Host: "mdm.example.com"}},
		lt.Not(mdmv1alpha1.ConditionReady, mdmv1alpha1.ReasonError, "GET https://admin:"+plant("userinfo")+"@mdm.example.com/?token="+plant("query")+" fails\n-----BEGIN EC PRIVATE KEY-----\n"+plant("key")+"\n-----END EC PRIVATE KEY-----"))
	ade := &mdmv1alpha1.AutomatedEnrollment{ObjectMeta: lt.Meta("business"), Spec: mdmv1alpha1.AutomatedEnrollmentSpec{
		Profiles:   []mdmv1alpha1.SetupProfile{{Name: "all", SerialNumbers: []string{serial, "C9"}}},
		KeyStorage: mdmv1alpha1.KeyStorage{KMS: &mdmv1alpha1.KMSKey{URI: "pkcs11:token=hsm;object=push?pin-value=" + plant("pin")}},
	}}
	secret := &corev1.Secret{ObjectMeta: lt.Meta("wifi-password"), Data: map[string][]byte{"password": []byte(plant("secret"))}}
	configMap := &corev1.ConfigMap{ObjectMeta: lt.Meta("berlin-config"), Data: map[string]string{"config": plant("configmap")}}
	event := &corev1.Event{
		ObjectMeta: lt.Meta("event"), Type: "Warning", Reason: "Refused", Message: serial + " Authorization: Bearer " + plant("bearer-0123456789"), LastTimestamp: lt.Ago(time.Hour), Count: 3,
		InvolvedObject: corev1.ObjectReference{APIVersion: mdmv1alpha1.GroupVersion.String(), Kind: "Device", Name: strings.ToLower(serial)},
	}
	other := &corev1.Event{ObjectMeta: lt.Meta("other"), Message: plant("other-event"), InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Name: "x"}}
	return append([]client.Object{mac, wifi, file, firewall, syncml, command, server, ade, secret, configMap, event, other}, cluster()...)
}

// cluster is what is in no namespace, and pods.
func cluster() []client.Object {
	pod := func(namespace, name, container string, labels map[string]string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
		p.Spec.Containers = []corev1.Container{{Name: container, Args: []string{"--key=" + plant("argument")}, Env: []corev1.EnvVar{{Name: "PASSWORD", Value: plant("environment")}}}}
		p.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: container, Image: "kubemdm@sha256:1", RestartCount: 1}}}
		return p
	}
	crd := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "devices.mdm.kubemdm.io"},
		"spec":   map[string]any{"versions": []any{map[string]any{"name": "v1alpha1", "served": true}}},
		"status": map[string]any{"storedVersions": []any{"v1alpha1"}},
	}}
	service := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1alpha1.live.mdm.kubemdm.io"},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": "False", "reason": "MissingEndpoints"}}},
	}}
	return []client.Object{
		pod("kubemdm-system", "manager-0", "manager", map[string]string{"app.kubernetes.io/name": "kubemdm", "app.kubernetes.io/component": "manager"}),
		pod(lt.Namespace, "berlin-0", "mdmserver", map[string]string{"app.kubernetes.io/name": "mdmserver"}),
		pod(lt.Namespace, "foreign", "foreign", nil), crd, service,
	}
}

func newWorld(t *testing.T) *lt.World {
	w := lt.New(t, secretive()...)
	w.Logs = map[string]string{
		"kubemdm-system/manager-0/manager": `{"level":"error","token":"` + plant("log-token") + `","msg":"of the device ` + serial + `"}` + "\npassword: " + plant("log-password") + "\n",
		"fleet/berlin-0/mdmserver":         "-----BEGIN PRIVATE KEY-----\n" + plant("cut-off"),
		"fleet/foreign/foreign":            plant("foreign-log"),
	}
	return w
}

// unpack returns the files of a bundle by name.
func unpack(t *testing.T, content []byte) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(zip); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		text, reading := io.ReadAll(archive)
		if err := errors.Join(err, reading); err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(header.Name, "kubemdm-report/")] = string(text)
	}
}

func run(t *testing.T, w *lt.World, args ...string) map[string]string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "bundle.tar.gz")
	w.WantError(w.Run(verb, append(args, "-o", name)...))
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	return unpack(t, content)
}

// No secret that is anywhere in the cluster is in a bundle, and nothing that identifies a device or a person, unless that is asked for.
func TestSecretsStayBehind(t *testing.T) {
	for _, args := range [][]string{nil, {"-A"}, {"-A", "--redact-serials=false"}} {
		w := newWorld(t)
		files := run(t, w, args...)
		redacted := !slices.Contains(args, "--redact-serials=false")
		for name, text := range files {
			if i := strings.Index(text, planted); i >= 0 {
				t.Errorf("%v: %s has %q", args, name, text[max(0, i-80):min(len(text), i+40)])
			}
			for _, identifying := range []string{serial, strings.ToLower(serial), udid, user, "Anna's Mac", `"C9"`, "- C9"} {
				if redacted && (strings.Contains(text, identifying) || strings.Contains(name, identifying)) {
					t.Errorf("%v: %s has %q", args, name, identifying)
				}
			}
		}
		if w.Read["Secret"] > 0 || w.Read["ConfigMap"] > 0 {
			t.Errorf("%d Secrets and %d ConfigMaps were read", w.Read["Secret"], w.Read["ConfigMap"])
		}
		if devices := files["objects/fleet/devices.yaml"]; !redacted && (!strings.Contains(devices, serial) || !strings.Contains(devices, udid)) {
			t.Errorf("serial numbers were to stay:\n%s", devices)
		}
	}
}

// What helps is in the bundle: a device is the same one in all of it.
func TestWhatIsInIt(t *testing.T) {
	w := newWorld(t)
	files := run(t, w, "--tail", "10")
	golden.Check(t, "testdata/profiles.txt", []byte(files["objects/fleet/profiles.yaml"]))
	golden.Check(t, "testdata/versions.txt", []byte(files["versions.yaml"]))
	golden.Check(t, "testdata/readme.txt", []byte(files["README.txt"]))
	_, after, _ := strings.Cut(files["events.txt"], "Device/")
	pseudonym, _, _ := strings.Cut(after, "\t")
	for _, name := range []string{"objects/fleet/devices.yaml", "objects/fleet/devicecommands.yaml", "objects/fleet/automatedenrollments.yaml", "overview.json", "pods/kubemdm-system/manager-0/manager.log"} {
		if !strings.HasPrefix(pseudonym, "device-") || !strings.Contains(files[name], pseudonym) {
			t.Errorf("%s does not know %q:\n%s", name, pseudonym, files[name])
		}
	}
	for name, want := range map[string]string{
		"objects/fleet/devices.yaml": "requested-at", "objects/fleet/mdmservers.yaml": "mdm.example.com", "pods/fleet/berlin-0.yaml": "kubemdm@sha256:1",
		"pods/fleet/berlin-0/mdmserver.previous.log": "<removed>", "objects/fleet/devicecommands.yaml": "type: Raw", "events.txt": "3x\t",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s does not tell %q:\n%s", name, want, files[name])
		}
	}
	w.WantOutput("Reading objects in the namespace fleet", "Reading pods and logs", "  README.txt\n", "objects/fleet/profiles.yaml", "Look into it before you give it to somebody")
}

// What may not be read is left out, and the bundle says so.
func TestRights(t *testing.T) {
	w := newWorld(t)
	w.Forbidden, w.Logs = []string{"Pod", "Profile", "Event"}, nil
	files := run(t, w)
	for _, want := range []string{"profiles: profiles.mdm.kubemdm.io is forbidden", "events: events is forbidden", "pods of servers: pods is forbidden"} {
		if !strings.Contains(files["README.txt"], want) {
			t.Errorf("README.txt does not tell %q:\n%s", want, files["README.txt"])
		}
	}
	w.Forbidden = nil
	if files = run(t, w, "--manager-namespace", "elsewhere"); !strings.Contains(files["README.txt"], "pods of the manager: there is none in the namespace elsewhere") ||
		!strings.Contains(files["README.txt"], "log of fleet/berlin-0/mdmserver") {
		t.Error(files["README.txt"])
	}
	w.Forbidden = []string{"Device", "MDMServer", "APNSCertificate", "AutomatedEnrollment", "EnrollmentToken", "Profile", "DeviceCommand"}
	name := filepath.Join(t.TempDir(), "bundle.tar.gz")
	w.WantError(w.Run(verb, "-o", name), "does not let you do this")
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a bundle is left: %v", err)
	}
}

func TestWhereItGoes(t *testing.T) {
	t.Chdir(t.TempDir())
	w := newWorld(t)
	w.WantError(w.Run(verb, "-o", "-", "--tail", "0"))
	files := unpack(t, w.Out.Bytes())
	for name := range files {
		if strings.HasSuffix(name, ".log") {
			t.Errorf("%s was not asked for", name)
		}
	}
	if !strings.Contains(w.ErrOut.String(), "README.txt") || len(files) < 5 {
		t.Errorf("%s\n%v", &w.ErrOut, files)
	}
	w.WantError(w.Run(verb))
	w.WantOutput("Wrote kubemdm-report-20260701-120000.tar.gz")
	w.WantError(w.Run(verb, "-o", "no/such/folder"), "no such file")
	w.WantError(w.Run(verb, "--tail", "-1"), "--tail")
}
