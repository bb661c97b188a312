package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts:
- {name: production, context: {cluster: c, user: u, namespace: fleet}}
- {name: staging, context: {cluster: c, user: u}}
current-context: production
`

// run runs kubectl mdm in a cluster with a few objects and returns what it prints.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", file)
	var out, errOut bytes.Buffer
	e := cli.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
	e.Connect = func() (client.WithWatch, error) {
		return fake.NewClientBuilder().WithScheme(cli.Scheme).WithObjects(
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fleet"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}},
			certificate("fleet", "push"), certificate("fleet", "test"), certificate("default", "other"),
		).Build(), nil
	}
	c := command(e)
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func certificate(namespace, name string) *mdmv1alpha1.APNSCertificate {
	return &mdmv1alpha1.APNSCertificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func TestEveryCommandHasItsHelp(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Short == "" || !strings.Contains(c.Example, "kubectl mdm") {
			t.Errorf("%s has the short help %q and the examples %q", c.CommandPath(), c.Short, c.Example)
		}
		if err := c.ParseFlags([]string{"--namespace=fleet"}); err != nil {
			t.Errorf("%s does not take the flags of kubectl: %v", c.CommandPath(), err)
		}
		for _, line := range strings.Split(c.Example, "\n") {
			if len(line) > 160 {
				t.Errorf("%s has a line that is too long: %s", c.CommandPath(), line)
			}
		}
		for _, below := range c.Commands() {
			visit(below)
		}
	}
	visit(command(cli.New(genericiooptions.NewTestIOStreamsDiscard())))
	out, err := run(t, "apns", "import", "--help")
	if err != nil || !strings.Contains(out, "kubectl mdm apns import NAME FILE [flags]") || strings.Contains(out, "--insecure-skip-tls-verify") {
		t.Errorf("%v\n%s", err, out)
	}
}

// What status.nextStep and the documentation tell people to run has to work.
func TestCommandsThatPeopleAreToldToRun(t *testing.T) {
	for _, line := range []string{
		"apns request push", "apns request push --csr", "apns import push FILE", "apns mdmcert-download push --reply FILE",
		"apns mdmcert-download push --resend", "apns status push", "apns status push --namespace fleet", "apns request push --create",
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

func TestCompletion(t *testing.T) {
	for _, tc := range []struct {
		args string
		want []string
		rest string // what the shell does besides
	}{
		{"apns import ", []string{"push", "test"}, ":4"},
		{"apns request p", []string{"push"}, ":4"},
		{"--namespace default apns status ", []string{"other"}, ":4"},
		{"--context staging apns status ", []string{"other"}, ":4"},
		{"apns import push ", nil, ":0"}, // a file
		{"--context ", []string{"production", "staging"}, ":4"},
		{"apns --namespace f", []string{"fleet"}, ":4"},
		{"completion ", []string{"bash", "fish", "zsh"}, ":4"},
	} {
		out, err := run(t, append([]string{"__complete"}, strings.Split(tc.args, " ")...)...)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(out)
		rest := got[len(got)-1]
		got = got[:len(got)-1]
		slices.Sort(got)
		if !slices.Equal(got, tc.want) || rest != tc.rest {
			t.Errorf("%q is completed by %q %s, want %q %s", tc.args, got, rest, tc.want, tc.rest)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if out, err := run(t, "completion", shell); err != nil || !strings.Contains(out, "kubectl-mdm") {
			t.Errorf("%s: %v: %s", shell, err, out)
		}
	}
	if out, err := run(t, "completion", "--help"); err != nil || !strings.Contains(out, "kubectl_complete-mdm") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := run(t, "completion", "basic"); err == nil {
		t.Error("an unknown shell is taken")
	}
}

// Whoever signs for others needs no cluster.
func TestVendorIsMounted(t *testing.T) {
	if out, err := run(t, "vendor", "sign", "--help"); err != nil || !strings.Contains(out, "kubectl mdm vendor sign") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestVersion(t *testing.T) {
	if out, err := run(t, "version"); err != nil || out != version+"\n" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestUnknownVerbsFail(t *testing.T) {
	for _, args := range [][]string{{"apsn"}, {"apns", "reqest"}, {"apns", "import", "push"}, {"apns", "request", "--nothing"}} {
		if _, err := run(t, args...); err == nil {
			t.Errorf("%v does not fail", args)
		}
	}
}

// Without anything else the namespace is that of the context.
func TestNamespaceOfTheContext(t *testing.T) {
	out, err := run(t, "apns", "status", "-o", "name")
	if want := "apnscertificate.mdm.kubemdm.io/push\napnscertificate.mdm.kubemdm.io/test\n"; err != nil || out != want {
		t.Errorf("%v: %s", err, out)
	}
}
