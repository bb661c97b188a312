package chart

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

const fleet = "fleet"

// actions are what commands of each kind of consequence ask for.
var actions = map[string]mdmv1alpha1.CommandAction{
	"restart": {Type: mdmv1alpha1.ActionRestart},
	"lock":    {Type: mdmv1alpha1.ActionLock},
	"install": {Type: mdmv1alpha1.ActionInstallApplication, InstallApplication: &mdmv1alpha1.InstallApplicationAction{
		ManifestURL: "https://apps.example.com/editor.plist",
	}},
	"unenroll": {Type: mdmv1alpha1.ActionUnenroll},
	"wipe": {Type: mdmv1alpha1.ActionWipe, Wipe: &mdmv1alpha1.WipeAction{
		SerialNumber: "C02XK1ABJGH5", EnrollmentID: "5d0f8a52-0c58-4c1c-9b3a-2f7f4f0f6f11",
	}},
}

// Who may restart and lock may not wipe: each role may ask for what the chart says, and who is refused learns the verb and the role to ask for.
func TestEachActionTakesItsVerb(t *testing.T) {
	w := newWorld(t)
	w.certManager()
	if out, err := w.install("--set=webhook.enabled=false,live.enabled=false"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, ns := range []string{fleet, "other"} {
		must(t, w.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}))
	}
	people := map[string]client.Client{}
	for _, role := range []string{"viewer", "helpdesk", "editor", "admin"} {
		people[role] = w.person(role, release+"-"+role)
	}
	w.effective(people["helpdesk"])

	const mayNotCreate = `cannot create resource "devicecommands"`
	needs := func(verb, role string) string {
		return "none of type " + verb + ": this takes the verb " + strings.ToLower(verb) +
			" on devicecommands.mdm.kubemdm.io. Ask an administrator of the namespace for the ClusterRole " + release + "-" + role
	}
	for _, c := range []struct{ who, action, complaint string }{
		{"viewer", "restart", mayNotCreate},
		{"viewer", "wipe", mayNotCreate},
		{"helpdesk", "restart", ""},
		{"helpdesk", "lock", ""},
		{"helpdesk", "install", needs("InstallApplication", "editor")},
		{"helpdesk", "unenroll", needs("Unenroll", "editor")},
		{"helpdesk", "wipe", needs("Wipe", "admin")},
		{"editor", "restart", ""},
		{"editor", "install", ""},
		{"editor", "unenroll", ""},
		{"editor", "wipe", needs("Wipe", "admin")},
		{"admin", "install", ""},
		{"admin", "wipe", ""},
	} {
		t.Run(c.who+" "+c.action, func(t *testing.T) {
			err := people[c.who].Create(t.Context(), command(fleet, c.who, c.action))
			switch {
			case c.complaint == "" && err != nil:
				t.Error(err)
			case c.complaint != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), c.complaint)):
				t.Errorf("answered: %v", err)
			case c.complaint != "" && c.complaint != mayNotCreate && !strings.Contains(err.Error(), "person-"+c.who+" may create"):
				t.Errorf("does not say who: %v", err)
			}
		})
	}
	t.Run("a role ends at its namespace", func(t *testing.T) {
		if err := people["admin"].Create(t.Context(), command("other", "admin", "wipe")); !apierrors.IsForbidden(err) {
			t.Errorf("answered: %v", err)
		}
	})
	t.Run("the cluster's administrator needs no role", func(t *testing.T) { must(t, w.Create(t.Context(), command(fleet, "root", "wipe"))) })
	t.Run("one verb can be given alone", func(t *testing.T) { w.oneVerb() })
	t.Run("what the manager and the garbage collector do is no business of the policy", func(t *testing.T) { w.afterwards(people["helpdesk"]) })
}

// person returns a user of the API server with a role in the fleet's namespace.
func (w *world) person(name, clusterRole string) client.Client {
	w.Helper()
	user, err := w.server.AddUser(envtest.User{Name: "person-" + name}, nil)
	must(w.T, err)
	must(w.T, w.Create(w.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleet, Name: "person-" + name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "person-" + name}},
	}))
	return w.connect(user.Config())
}

func (w *world) connect(config *rest.Config) client.Client {
	w.Helper()
	c, err := client.New(config, client.Options{Scheme: w.scheme})
	must(w.T, err)
	return c
}

// effective waits until the API server obeys the policy, which it does a moment after it has accepted it, as with the roles.
func (w *world) effective(helpdesk client.Client) {
	w.Helper()
	var restart, wipe error
	err := wait.PollUntilContextTimeout(w.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		restart = helpdesk.Create(ctx, command(fleet, "probe", "restart"), client.DryRunAll)
		wipe = helpdesk.Create(ctx, command(fleet, "probe", "wipe"), client.DryRunAll)
		return restart == nil && wipe != nil, nil
	})
	if err != nil {
		w.Fatalf("%v; a restart: %v; a wipe: %v", err, restart, wipe)
	}
}

// oneVerb gives a helpdesk the wipe, as the message says.
func (w *world) oneVerb() {
	w.Helper()
	wipes := w.person("wipes", release+"-helpdesk")
	must(w.T, w.Create(w.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleet, Name: "wipes"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{mdmv1alpha1.GroupVersion.Group}, Resources: []string{"devicecommands"}, Verbs: []string{"wipe"}}},
	}))
	must(w.T, w.Create(w.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleet, Name: "wipes"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "wipes"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "person-wipes"}},
	}))
	err := wait.PollUntilContextTimeout(w.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return wipes.Create(ctx, command(fleet, "verb", "wipe")) == nil, nil
	})
	must(w.T, err)
}

// afterwards writes the status of a wipe and deletes it as users without its verb.
func (w *world) afterwards(helpdesk client.Client) {
	w.Helper()
	manager := rest.CopyConfig(w.config)
	manager.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + system + ":" + release}
	wipe := command(fleet, "admin", "wipe")
	must(w.T, w.Get(w.Context(), client.ObjectKeyFromObject(wipe), wipe))
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"finalizers": ["mdm.kubemdm.io/finalizer"]}}`))
	must(w.T, w.connect(manager).Patch(w.Context(), wipe, patch))
	patch = client.RawPatch("application/merge-patch+json", []byte(`{"metadata": {"finalizers": null}}`))
	must(w.T, w.connect(manager).Patch(w.Context(), wipe, patch))
	must(w.T, helpdesk.Delete(w.Context(), wipe))
}

func command(namespace, who, action string) *mdmv1alpha1.DeviceCommand {
	return &mdmv1alpha1.DeviceCommand{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: who + "-" + action},
		Spec: mdmv1alpha1.DeviceCommandSpec{
			ServerRef: mdmv1alpha1.LocalReference{Name: "mdm"},
			Target:    mdmv1alpha1.CommandTarget{DeviceRef: &mdmv1alpha1.LocalReference{Name: "ana-macbook"}},
			Action:    actions[action],
		},
	}
}
