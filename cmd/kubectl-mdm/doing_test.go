package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

// What verbs tell people to run next has to work.
func TestCommandsThatDoingVerbsName(t *testing.T) {
	for _, line := range []string{
		"pin lock-ana-x7k2p", "pin lock-ana-x7k2p --namespace fleet", "pin --device ana", "enroll --device ana", "release ana", "devices -A",
		"enroll --server berlin --label a=b --max-uses 1 --expires 7d --platform Windows", "lock ana --message x --phone 112",
		"restart -l team=design --deadline 2h --server berlin", "wipe ana --serial S1 --yes", "unenroll ana ben --yes", "push -l team=design",
		"lint --strict FOLDER", "diff --all --exit-code -",
	} {
		root := command(cli.New(genericiooptions.NewTestIOStreamsDiscard()))
		c, rest, err := root.Find(strings.Fields(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.ParseFlags(rest); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if err := c.ValidateArgs(c.Flags().Args()); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestCompletionOfDoingVerbs(t *testing.T) {
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "fleet", Name: name} }
	cluster := fake.NewClientBuilder().WithScheme(cli.Scheme).WithObjects(
		&mdmv1alpha1.Device{ObjectMeta: named("ana")}, &mdmv1alpha1.Device{ObjectMeta: named("ben")}, &mdmv1alpha1.MDMServer{ObjectMeta: named("berlin")},
		&mdmv1alpha1.DeviceCommand{ObjectMeta: named("lock-ana-x7k2p")},
	).Build()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", file)
	for args, want := range map[string]string{
		"lock ":              "ana ben :4",
		"restart ana ":       "ben :4", // each once
		"wipe ana ":          ":4",     // one only
		"push b":             "ben :4",
		"release ":           "ana ben :4",
		"pin ":               "lock-ana-x7k2p :4",
		"pin --device ":      "ana ben :4",
		"enroll --server ":   "berlin :4",
		"enroll --device a":  "ana :4",
		"enroll --platform ": "Apple Windows :4",
		"restart --server ":  "berlin :4",
		"wipe ana --method ": "Cloud CloudKeepProvisionedData CloudKeepUserData KeepProvisionedData KeepUserData Protected Standard :4",
		"diff -o ":           "json yaml :4",
		"lint ":              ":0", // files
	} {
		var out bytes.Buffer
		e := cli.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &bytes.Buffer{}})
		e.Connect = func() (client.WithWatch, error) { return cluster, nil }
		c := command(e)
		c.SetArgs(append([]string{"__complete"}, strings.Split(args, " ")...))
		if err := c.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(out.String())
		rest := got[len(got)-1]
		got = got[:len(got)-1]
		slices.Sort(got)
		if all := strings.Join(append(got, rest), " "); all != want {
			t.Errorf("%q is completed by %q, want %q", args, all, want)
		}
	}
}
