package main

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestCommands(t *testing.T) {
	var out bytes.Buffer
	c := command()
	c.SetArgs([]string{"--help"})
	c.SetOut(&out)
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range c.Commands() {
		names = append(names, c.Name())
		if c.Name() != "completion" && c.Name() != "help" && (!strings.Contains(c.Example, "vendorsign "+c.Name()) || strings.Contains(c.Example, "kubectl")) {
			t.Errorf("%s has the examples %s", c.Name(), c.Example)
		}
	}
	if want := []string{"check", "completion", "csr", "help", "sign"}; !slices.Equal(names, want) {
		t.Errorf("the commands are %v", names)
	}
}

// It is for machines without a cluster and without a network: small, and nothing in it that talks to an API server.
func TestNothingOfKubernetes(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(string(out)) {
		if strings.HasPrefix(name, "k8s.io/") || strings.HasPrefix(name, "sigs.k8s.io/") || strings.HasPrefix(name, "github.com/kubemdm/kubemdm/api") {
			t.Errorf("it imports %s", name)
		}
	}
}
