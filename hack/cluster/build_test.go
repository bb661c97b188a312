package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatIsBuiltIsNotBuiltAgain(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", "") // no go to build with
	var out bytes.Buffer
	b, err := newBuilder(&out)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.build(t.Context(), envtestArtifacts); err == nil {
		t.Error("nothing was built, and it succeeded")
	}
	out.Reset()
	for _, a := range envtestArtifacts {
		writeFile(t, b.artifact(a.name), "")
	}
	if err := b.build(t.Context(), envtestArtifacts); err != nil || out.Len() > 0 {
		t.Errorf("build says %q, %v, want nothing", out.String(), err)
	}
}

func TestEnvtestFindsItsBinariesInOneFolder(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	b, err := newBuilder(&bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kube-apiserver", "etcd", "kubectl"} {
		if filepath.Dir(b.artifact(name)) != b.folder(kubernetesModule) {
			t.Errorf("%s is at %s", name, b.artifact(name))
		}
	}
}

func TestTheHashOfAModuleCoversItsFiles(t *testing.T) {
	dir := t.TempDir()
	hash := func() string {
		t.Helper()
		_, hash, err := readModule(dir)
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	writeFile(t, filepath.Join(dir, "go.mod"), "module x\n")
	first := hash()
	writeFile(t, filepath.Join(dir, "go.sum"), "a\n")
	second := hash()
	writeFile(t, filepath.Join(dir, "go.sum"), "b\n")
	if third := hash(); first == second || second == third || hash() != third {
		t.Errorf("hashes are %s, %s and %s", first, second, third)
	}
}

func TestKubernetesCarriesItsVersion(t *testing.T) {
	versions, _, err := readModule(kubernetesModule)
	if err != nil {
		t.Fatal(err)
	}
	version := versions["k8s.io/kubernetes"]
	if !strings.HasPrefix(version, "v1.") {
		t.Fatalf("the version of Kubernetes was read as %q", version)
	}
	flags := linkFlags(kubernetesModule, versions)
	if want := "-X k8s.io/component-base/version.gitVersion=" + version; !strings.Contains(flags, want) {
		t.Errorf("linker flags are %q, want them to have %q", flags, want)
	}
	if flags := linkFlags(containerdModule, versions); strings.Contains(flags, "-X") {
		t.Errorf("containerd is linked with %q", flags)
	}
}

func TestEveryArtifactHasASourceInTheTree(t *testing.T) {
	for _, a := range artifacts {
		if a.pkg == "." {
			if _, err := os.Stat(filepath.Join(a.module, "main.go")); err != nil {
				t.Errorf("%s: %v", a.name, err)
			}
			continue
		}
		mod, err := os.ReadFile(filepath.Join(a.module, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(mod, []byte(a.pkg)) {
			t.Errorf("%s: %s is neither a tool nor a requirement of module %s", a.name, a.pkg, a.module)
		}
	}
}
