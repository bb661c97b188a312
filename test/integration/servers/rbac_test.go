package servers_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/setup"
)

const managerNamespace = "kubemdm-system"

// restricted returns a user with the generated role in one namespace and, as the chart gives it, the right to the manager's Lease.
func restricted(t *testing.T, ns string) *rest.Config {
	t.Helper()
	user, err := apiServer.AddUser(envtest.User{Name: "manager"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("../../../config/rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(raw, role); err != nil {
		t.Fatal(err)
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "manager"}}
	lease := metav1.ObjectMeta{Namespace: managerNamespace, Name: "leader-election"}
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: managerNamespace}},
		role,
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: role.Name}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}},
		&rbacv1.Role{ObjectMeta: lease, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update"}},
			{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		}},
		&rbacv1.RoleBinding{ObjectMeta: lease, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: lease.Name}},
	} {
		if err := api.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	return user.Config()
}

// TestManagerNeedsNoMoreThanItsRole runs the whole manager with the rights that the chart gives it in a list of namespaces, from an MDMServer to a published token.
func TestManagerNeedsNoMoreThanItsRole(t *testing.T) {
	b := newBench(t)
	mgr, err := setup.New(t.Context(), restricted(t, b.ns), setup.Options{
		Namespace: managerNamespace, Namespaces: []string{b.ns}, ServerImage: "kubemdm/mdmserver:test", MetricsAddress: "0", HealthAddress: "0",
		Dial: b.pod.DialAdmin, Metrics: prometheus.NewRegistry(),
	})
	b.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	s := newServer()
	s.Spec.Apple.APNSCertificateRef = &mdmv1alpha1.LocalReference{Name: "push"}
	s.Spec.Windows = &mdmv1alpha1.WindowsServer{SignIn: newSignIn()}
	s.Spec.Exposure.Ingress = &mdmv1alpha1.IngressExposure{}
	b.secret("oidc", map[string][]byte{"secret": []byte("s3cret")})
	b.create(s)
	b.create(newToken())
	b.create(newPush())
	b.eventually("the StatefulSet is there", func() bool {
		b.cluster.Issue()
		return b.exists(serverName, &appsv1.StatefulSet{})
	})
	b.cluster.Available(serverName)
	b.pod.Start()
	b.eventually("the token is published", func() bool {
		return meta.IsStatusConditionTrue(b.token().Status.Conditions, mdmv1alpha1.ConditionReady)
	})
	b.eventually("the server is Ready", func() bool {
		return meta.IsStatusConditionTrue(b.mdmServer().Status.Conditions, mdmv1alpha1.ConditionReady)
	})
	b.eventually("events are written", func() bool {
		list := &eventsv1.EventList{}
		b.must(api.List(b.Context(), list, client.InNamespace(b.ns)))
		return len(list.Items) > 0
	})
	b.remove("staff", &mdmv1alpha1.EnrollmentToken{})
	b.eventually("the token is gone", func() bool { return !b.exists("staff", &mdmv1alpha1.EnrollmentToken{}) })
	b.moveToPostgreSQL()
	b.eventually("its pods are asked", func() bool {
		return meta.IsStatusConditionFalse(b.mdmServer().Status.Conditions, mdmv1alpha1.MDMServerReachable)
	})
}

// moveToPostgreSQL switches the storage of a server, which a manager of its own looks after.
func (b *bench) moveToPostgreSQL() {
	b.Helper()
	b.scale(0)
	b.eventually("the StatefulSet is to stop", func() bool {
		set := &appsv1.StatefulSet{}
		b.get(serverName, set)
		return *set.Spec.Replicas == 0
	})
	b.cluster.Available(serverName)
	b.pod.Stop()
	b.switchStorage()
	b.eventually("the Deployment took the place of the StatefulSet", func() bool {
		return !b.exists(serverName, &appsv1.StatefulSet{}) && b.exists(serverName, &appsv1.Deployment{})
	})
	b.scale(2)
}

func (b *bench) eventually(what string, holds func() bool) {
	b.Helper()
	err := wait.PollUntilContextTimeout(b.Context(), 100*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		b.Fatalf("waiting until %s: %v\n%s", what, err, show(b.mdmServer().Status.Conditions))
	}
}
