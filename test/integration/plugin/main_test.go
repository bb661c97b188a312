package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/standin"
)

const (
	namespace = "fleet"
	// admin may do everything; reader may only read what is of mdm.kubemdm.io.
	admin  = "admin"
	reader = "reader"
)

var (
	// api is a client of the real API server, which has our CRDs.
	api client.Client
	// home has the program kubectl-mdm, and a kubeconfig for each user.
	home string
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	environment := standin.APIServer()
	config, err := environment.Start()
	if err != nil {
		return 0, fmt.Errorf("starting the API server (KUBEBUILDER_ASSETS must name its folder): %w", err)
	}
	defer func() {
		if stopped := environment.Stop(); err == nil {
			err = stopped
		}
	}()
	if home, err = os.MkdirTemp("", "kubectl-mdm"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(home)
	if err := mdmv1alpha1.AddToScheme(clientgoscheme.Scheme); err != nil {
		return 0, err
	}
	if api, err = client.New(config, client.Options{}); err != nil {
		return 0, err
	}
	if err := prepare(context.Background(), environment); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// prepare builds the program, and makes the users and the namespace.
func prepare(ctx context.Context, environment *envtest.Environment) error {
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(home, "kubectl-mdm"), "github.com/kubemdm/kubemdm/cmd/kubectl-mdm")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building kubectl-mdm: %w\n%s", err, out)
	}
	for name, groups := range map[string][]string{admin: {"system:masters"}, reader: nil} {
		user, err := environment.AddUser(envtest.User{Name: name, Groups: groups}, nil)
		if err != nil {
			return err
		}
		content, err := user.KubeConfig()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(home, name), content, 0o600); err != nil {
			return err
		}
	}
	for _, o := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: reader}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"mdm.kubemdm.io"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}},
		}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: reader}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: reader},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: reader}},
		},
	} {
		if err := api.Create(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// mdm runs kubectl mdm as a user with what is typed. ok says whether its exit code is 0.
func mdm(t *testing.T, user, typed string, args ...string) (out, notes string, ok bool) {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(home, "kubectl-mdm"), append(args, "--namespace", namespace, "--cache-dir", t.TempDir())...)
	c.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(home, user))
	var o, e bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(typed), &o, &e
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return o.String(), e.String(), err == nil
}
