package lint_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/doingtest"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/lint"
)

// root of the repository.
const root = "../../.."

// What we show people is in order, warnings included. There may be no examples yet.
func TestSamplesAndExamples(t *testing.T) {
	w := doingtest.New(t)
	w.WantError(w.Run(lint.Command, "--strict", filepath.Join(root, "config/samples")))
	w.WantNotes("14 objects in 14 files: 0 errors, 0 warnings; ignored 3 of other kinds: v1 ConfigMap (1), v1 Secret (2)")
	examples := filepath.Join(root, "docs/examples")
	if _, err := os.Stat(examples); err == nil {
		if err := w.Run(lint.Command, examples); err != nil {
			t.Errorf("%v\n%s%s", err, &w.Out, &w.ErrOut)
		}
	}
}

const head = "apiVersion: mdm.kubemdm.io/v1alpha1\n"

// object is a manifest of a kind and name; its spec begins on line 6.
func object(kind, name, spec string) string {
	return head + "kind: " + kind + "\nmetadata:\n  name: " + name + "\nspec:\n  " + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + "\n"
}

func TestDirtyManifests(t *testing.T) {
	const restart = "serverRef: {name: mdm}\ntarget:\n  deviceRef: {name: ana}\naction:\n  type: Restart"
	for name, tc := range map[string]struct{ manifest, want string }{
		"unknown field":       {object("DeviceCommand", "a", restart+"\ndeadline: 5"), ":11 DeviceCommand/a: spec.deadline: unknown field"},
		"unknown field below": {object("DeviceCommand", "a", restart+"\n  lok: {}"), ":11 DeviceCommand/a: spec.action.lok: unknown field"},
		"unknown metadata": {
			strings.Replace(object("DeviceCommand", "a", restart), "name: a", "name: a\n  lables: {}", 1),
			":5 DeviceCommand/a: metadata.lables: unknown field",
		},
		"unknown at the root": {object("DeviceCommand", "a", restart) + "sepc: {}\n", ":11 DeviceCommand/a: sepc: unknown field"},
		"duplicate field": {
			object("DeviceCommand", "a", restart+"\n  type: Lock"),
			":11 DeviceCommand/a: spec.action.type: duplicate field, which is on line 10 already",
		},
		"wrong union": {
			object("DeviceCommand", "a", restart+"\n  lock: {message: x}"),
			":9 DeviceCommand/a: spec.action: Invalid value: lock is allowed with type Lock only",
		},
		"union without its part": {
			object("DeviceCommand", "a", strings.Replace(restart, "Restart", "Wipe", 1)),
			":9 DeviceCommand/a: spec.action: Invalid value: wipe is required with type Wipe and not allowed with another type",
		},
		"both of a union": {
			object("DeviceCommand", "a", strings.Replace(restart, "  deviceRef", "  selector: {}\n  deviceRef", 1)),
			":7 DeviceCommand/a: spec.target: Invalid value: exactly one of the fields in [deviceRef selector] must be set",
		},
		"none of a union": {
			object("Profile", "a", "serverRef: {name: mdm}\nselector: {}"),
			":5 Profile/a: spec: Invalid value: exactly one of the fields in [apple windows] must be set",
		},
		"enum": {
			object("DeviceCommand", "a", strings.Replace(restart, "Restart", "Reboot", 1)),
			`:10 DeviceCommand/a: spec.action.type: Unsupported value: "Reboot": supported values: "DeviceInformation", "Restart"`,
		},
		"wrong type": {
			object("EnrollmentToken", "a", "serverRef: {name: mdm}\nmaxUses: many"),
			`:7 EnrollmentToken/a: spec.maxUses: Invalid value: "string": spec.maxUses in body must be of type integer: "string"`,
		},
		"required": {object("Device", "a", "serialNumber: S1"), ":5 Device/a: spec.serverRef: Required value"},
		"rule of the whole spec": {
			object("Device", "a", "serverRef: {name: mdm}"),
			":5 Device/a: spec: Invalid value: give serialNumber or udid (or enrollmentID for a User Enrollment)",
		},
		"rule of the root": {
			object("AutomatedEnrollment", strings.Repeat("a", 64), "serverRef: {name: mdm}"),
			": Invalid value: the name may have at most 63 characters",
		},
		"rule with a URL": {
			object("DeviceCommand", "a", strings.Replace(restart, "Restart", "InstallApplication\n  installApplication: {manifestURL: ftp://x}", 1)),
			":11 DeviceCommand/a: spec.action.installApplication.manifestURL: Invalid value: \"ftp://x\": manifestURL must be an https URL",
		},
		"name": {
			object("Device", "Ana", "serverRef: {name: mdm}\nserialNumber: S1"),
			`:4 Device/Ana: metadata.name: Invalid value: "Ana": a lowercase RFC 1123 subdomain`,
		},
		"list with doubles": {
			object("EnrollmentToken", "a", "serverRef: {name: mdm}\nplatforms: [Apple, Apple]"),
			`:7 EnrollmentToken/a: spec.platforms[1]: Duplicate value: "Apple"`,
		},
		"what the webhook says": {
			object("EnrollmentToken", "a", "serverRef: {name: mdm}\nlabels:\n  mdm.kubemdm.io/server: x"),
			":8 EnrollmentToken/a: spec.labels[mdm.kubemdm.io/server]: Forbidden: labels of mdm.kubemdm.io are set by the operator",
		},
		"a selector": {
			object("Profile", "a", "serverRef: {name: mdm}\nselector:\n  matchExpressions:\n  - {key: a, operator: Near}\nwindows: {settings: [{locURI: ./Device/X, value: {text: a}}]}"),
			"Profile/a: spec.",
		},
		"a raw command": {
			object("DeviceCommand", "a", strings.Replace(restart, "Restart", "Raw\n  raw: {plist: \"<plist><dict><key>RequestType</key><string>EraseDevice</string></dict></plist>\"}", 1)),
			":11 DeviceCommand/a: spec.action.raw.plist: Invalid value: RequestType EraseDevice is not allowed: use type Wipe",
		},
		"unknown kind": {object("Profle", "a", "x: 1"), ":2 Profle/a: kind: no kind Profle in this version of KubeMDM"},
		"unknown version": {
			strings.Replace(object("Device", "a", "x: 1"), "v1alpha1", "v1", 1),
			":1 Device/a: apiVersion: no version mdm.kubemdm.io/v1 in this version of KubeMDM: write mdm.kubemdm.io/v1alpha1",
		},
		"no YAML":   {"a: b\n- c\n", ": no YAML: "},
		"tabs":      {head + "kind: Device\nmetadata:\n\tname: a\n", ":4: no YAML: found character that cannot start any token"},
		"no object": {"- a\n- b\n", ":1: not an object: a manifest has apiVersion, kind and metadata"},
		"no kind":   {head + "metadata: {name: a}\n", ":1: kind: Required value"},
		"second document": {
			object("Device", "a", "serverRef: {name: mdm}\nudid: a") + "--- # next\n" + object("Device", "b", "serverRef: {name: mdm}\nuid: b"),
			":15 Device/b: spec.uid: unknown field",
		},
		"item of a list": {
			"apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(object("Device", "b", "serverRef: {name: mdm}\nuid: b"), "\n", "\n  "),
			":10 Device/b: spec.uid: unknown field",
		},
		"JSON": {
			`{"apiVersion":"mdm.kubemdm.io/v1alpha1","kind":"Device","metadata":{"name":"a"},` + "\n" + `"spec":{"serverRef":{"name":"m"},"udid":"a","x":1}}`,
			":2 Device/a: spec.x: unknown field",
		},
		"below an alias": {object("Device", "a", "serverRef: &x {name: mdm, nam: y}\nudid: a"), ":6 Device/a: spec.serverRef.nam: unknown field"},
		"several bombs of alias": {
			"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
			"no YAML: document contains excessive aliasing",
		},
		"deep": {"a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), ":1: nests deeper than 100 levels"},
		"namespace in the output": {
			strings.Replace(object("Device", "a", "serverRef: {name: mdm}"), "name: a", "name: a\n  namespace: fleet", 1),
			" Device/fleet/a: spec: Invalid value: give serialNumber",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := doingtest.New(t)
			file := doingtest.File(t, t.TempDir(), "dirty.yaml", tc.manifest)
			w.WantError(w.Run(lint.Command, file), "found ")
			w.WantOutput(tc.want)
			if !strings.HasPrefix(w.Out.String(), file+":") {
				t.Errorf("no file stands before it: %s", &w.Out)
			}
		})
	}
}

// several are manifests in one file.
func several(all ...string) string { return strings.Join(all, "---\n") }

func TestObjectsAreComparedWithEachOther(t *testing.T) {
	server := func(name, host, parts string) string {
		return object("MDMServer", name, "host: "+host+"\norganization: Example\nstorage: {sqlite: {}}\ntls: {type: SelfSigned}\n"+parts)
	}
	mac := func(name, serial, server string) string {
		return object("Device", name, "serverRef: {name: "+server+"}\nserialNumber: "+serial)
	}
	config := func(name, identifier string) string {
		return object("Profile", name, "serverRef: {name: mdm}\nselector: {}\napple:\n  type: Mobileconfig\n  mobileconfig:\n    inline: |\n"+
			"      <plist><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer><key>PayloadIdentifier</key><string>"+identifier+
			"</string><key>PayloadUUID</key><string>5D0F8A52-0C58-4C1C-9B3A-2F7F4F0F6F11</string><key>PayloadContent</key><array></array></dict></plist>")
	}
	apple := server("mdm", "mdm.example.com", "apple: {}")
	command := func(action string) string {
		return object("DeviceCommand", "c", "serverRef: {name: mdm}\ntarget: {deviceRef: {name: ana}}\naction: "+action)
	}
	for name, tc := range map[string]struct{ manifest, want string }{
		"the same object": {
			several(apple, mac("ana", "S1", "mdm"), mac("ana", "S1", "mdm")),
			":23 Device/ana: metadata.name: the same object stands in ",
		},
		"the same host": {
			several(apple, server("two", "mdm.example.com", "apple: {}")),
			"MDMServer/two: spec.host: the host mdm.example.com is that of MDMServer/mdm in ",
		},
		"one serial number": {
			several(apple, mac("ana", "S1", "mdm"), mac("ben", "S1", "mdm")),
			"Device/ben: spec.serialNumber: the serial number S1 is that of Device/ana in ",
		},
		"one identifier": {
			several(apple, config("a", "com.example.wifi"), config("b", "com.example.wifi")),
			"Profile/b: spec.apple: the PayloadIdentifier com.example.wifi is that of Profile/a in ",
		},
		"one Secret": {
			several(apple, object("EnrollmentToken", "a", "serverRef: {name: mdm}"), object("EnrollmentToken", "b", "serverRef: {name: mdm}\nsecretName: a-enrollment")),
			"EnrollmentToken/b: spec.secretName: the Secret a-enrollment is that of EnrollmentToken/a in ",
		},
		"a platform": {
			several(apple, object("EnrollmentToken", "a", "serverRef: {name: mdm}\nplatforms: [Windows]")),
			"EnrollmentToken/a: spec.platforms: the MDMServer mdm serves no Windows devices: it has no spec.windows",
		},
		"another server": {
			several(apple, mac("ana", "S1", "two"), command("{type: Restart}")),
			"DeviceCommand/c: spec.target.deviceRef.name: the Device ana belongs to the MDMServer two",
		},
		"another wipe": {
			several(apple, mac("ana", "S1", "mdm"), command("{type: Wipe, wipe: {serialNumber: S2, enrollmentID: e}}")),
			"DeviceCommand/c: spec.action.wipe.serialNumber: the Device ana has the serial number S1",
		},
		"a device of no name": {
			several(apple, object("Device", "ana", "serverRef: {name: mdm}\nenrollmentID: e"), object("EnrollmentToken", "a", "serverRef: {name: mdm}\ndeviceRef: {name: ana}")),
			"EnrollmentToken/a: spec.deviceRef.name: the Device ana has neither serialNumber nor udid",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := doingtest.New(t)
			w.WantError(w.Run(lint.Command, doingtest.File(t, t.TempDir(), "set.yaml", tc.manifest)), "found 1 error")
			w.WantOutput(tc.want)
		})
	}
	w := doingtest.New(t)
	w.In = several(apple, config("a", "com.example.wifi"), config("b", "com.example.vpn"), mac("ana", "S1", "mdm"), mac("ben", "S2", "mdm"), command("{type: Restart}"))
	w.WantError(w.Run(lint.Command, "--strict", "-"))
}

func TestWhatIsNotAmongTheFilesIsAWarning(t *testing.T) {
	w := doingtest.New(t)
	w.In = object("Device", "ana", "serverRef: {name: mdm}\nserialNumber: S1") + "status: {}\n"
	w.WantError(w.Run(lint.Command, "-"))
	w.WantOutput("-:6 Device/ana: warning: spec.serverRef.name: no MDMServer mdm is among these files\n",
		"-:8 Device/ana: warning: status: the operator writes it, and what stands here is not taken\n")
	w.WantNotes("1 object in 1 file: 0 errors, 2 warnings\n")
	w.WantError(w.Run(lint.Command, "--strict", "-"), "found 2 errors")
}

func TestFolders(t *testing.T) {
	dir := t.TempDir()
	for _, below := range []string{"a", ".git"} {
		if err := os.Mkdir(filepath.Join(dir, below), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	good := object("MDMServer", "mdm", "host: mdm.example.com\norganization: Example\nstorage: {sqlite: {}}\ntls: {type: SelfSigned}\napple: {}")
	for name, content := range map[string]string{
		"a/server.yml": good, "kustomization.yaml": "resources: [", "a/notes.md": "no", ".git/x.yaml": "a: [", "empty.yaml": "",
		"a/other.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\n---\n# nothing\n",
	} {
		doingtest.File(t, dir, name, content)
	}
	w := doingtest.New(t)
	w.WantError(w.Run(lint.Command, dir, filepath.Join(dir, "a/server.yml")))
	w.WantNotes("1 object in 2 files: 0 errors, 0 warnings; ignored 1 of other kinds: v1 Secret (1)")
	w.WantError(w.Run(lint.Command, filepath.Join(dir, "nothing")), "no such file")
	w.WantError(w.Run(lint.Command, t.TempDir()), "has no file *.yaml, *.yml or *.json")
	w.WantError(w.Run(lint.Command), "requires at least 1 arg")
}

// What is a part of an object is no object, and what objects say of each other may not last once they are patched.
func TestKustomize(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"kustomization.yaml": "resources: [server.yaml, token.yaml]\npatches: [{path: host.yaml}]\npatchesStrategicMerge: [more.yaml]\n",
		"server.yaml":        object("MDMServer", "mdm", "host: mdm.example.com\norganization: Example\nstorage: {sqlite: {}}\ntls: {type: SelfSigned}\napple: {}"),
		"host.yaml":          object("MDMServer", "mdm", "host: office.example.com"),
		"more.yaml":          object("MDMServer", "mdm", "windows: {managementHost: pcs.example.com}"),
		"token.yaml":         object("EnrollmentToken", "pcs", "serverRef: {name: mdm}\nplatforms: [Windows]"),
	} {
		doingtest.File(t, dir, name, content)
	}
	w := doingtest.New(t)
	w.WantError(w.Run(lint.Command, dir))
	w.WantOutput("EnrollmentToken/pcs: warning: spec.platforms: the MDMServer mdm serves no Windows devices", "(before kustomize patches it: lint what kubectl kustomize prints)")
	w.WantNotes("2 objects in 2 files: 0 errors, 1 warning; left out 2 patches of kustomize\n")
}

func TestForPrograms(t *testing.T) {
	w := doingtest.New(t)
	w.In = object("Device", "ana", "serverRef: {name: mdm}")
	w.WantError(w.Run(lint.Command, "-o", "json", "-"), "found 1 error")
	var got struct {
		Objects, Errors, Warnings int
		Findings                  []lint.Finding
	}
	if err := json.Unmarshal(w.Out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := lint.Finding{Severity: lint.Error, File: "-", Line: 5, Object: "Device/ana", Field: "spec", Message: "Invalid value: give serialNumber or udid (or enrollmentID for a User Enrollment)"}
	if got.Objects != 1 || got.Errors != 1 || len(got.Findings) != 1 || got.Findings[0] != want {
		t.Errorf("%+v", got)
	}
	w.WantError(w.Run(lint.Command, "-o", "xml", "-"), "--output xml is not known")
}
