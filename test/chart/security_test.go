package chart

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// serverPods are the golden files of the StatefulSets and Deployments that the operator makes.
const serverPods = "controllers/internal/owned/testdata/*.yaml"

// Every pod of ours passes the security standard "restricted", by the code of Kubernetes itself.
func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	must(t, err)
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for name, pod := range pods(t) {
		for _, result := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s: %s", name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
			if c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
				t.Errorf("%s: the container %s can write to its root", name, c.Name)
			}
		}
	}
}

// What faces the Internet has nothing that the API server would take.
func TestServersHaveNoToken(t *testing.T) {
	servers := servers(t)
	if len(servers) < 3 {
		t.Fatalf("%d servers: too few to prove anything", len(servers))
	}
	for name, pod := range servers {
		if automount := pod.Spec.AutomountServiceAccountToken; automount == nil || *automount {
			t.Errorf("%s mounts a token", name)
		}
		for _, volume := range pod.Spec.Volumes {
			if volume.Projected == nil {
				continue
			}
			for _, source := range volume.Projected.Sources {
				// A token without an audience is for the API server. One for AWS is good for nothing there.
				if token := source.ServiceAccountToken; token != nil && token.Audience != "sts.amazonaws.com" {
					t.Errorf("%s has the token %s for the audience %q", name, volume.Name, token.Audience)
				}
			}
		}
	}
}

// pods are the pods of the manager in all renderings, and of servers.
func pods(t *testing.T) map[string]corev1.PodTemplateSpec {
	t.Helper()
	all := servers(t)
	for name, args := range renderings {
		deployment := &appsv1.Deployment{}
		into(t, render(t, args...)["Deployment kubemdm-system kubemdm-manager"], deployment)
		all["manager, "+name] = deployment.Spec.Template
	}
	return all
}

func servers(t *testing.T) map[string]corev1.PodTemplateSpec {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, serverPods))
	must(t, err)
	found := map[string]corev1.PodTemplateSpec{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		must(t, err)
		for _, obj := range objects(t, raw) {
			name := "server, " + filepath.Base(file)
			switch obj.GetKind() {
			case "StatefulSet":
				set := &appsv1.StatefulSet{}
				into(t, obj, set)
				found[name] = set.Spec.Template
			case "Deployment":
				deployment := &appsv1.Deployment{}
				into(t, obj, deployment)
				found[name] = deployment.Spec.Template
			}
		}
	}
	return found
}

// into converts strictly: a misspelt field of a security context would do nothing.
func into(t *testing.T, obj *unstructured.Unstructured, typed any) {
	t.Helper()
	must(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, typed, true))
}

// grant is a rule that holds in a namespace, or everywhere if that is empty.
type grant struct {
	namespace string
	rbacv1.PolicyRule
}

// grants are all rules that are bound to the operator's service account, followed as the API server follows them.
func grants(t *testing.T, all map[string]*unstructured.Unstructured) []grant {
	t.Helper()
	var found []grant
	for _, obj := range all {
		if obj.GetKind() != "RoleBinding" && obj.GetKind() != "ClusterRoleBinding" {
			continue
		}
		binding := &rbacv1.RoleBinding{} // has the same fields as a ClusterRoleBinding
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, binding))
		if !slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool { return s.Name == "kubemdm" && s.Namespace == "kubemdm-system" }) {
			t.Errorf("%s %s binds somebody else: %v", obj.GetKind(), binding.Name, binding.Subjects)
		}
		key := binding.RoleRef.Kind + " " + binding.RoleRef.Name
		if binding.RoleRef.Kind == "Role" {
			key = "Role " + binding.Namespace + " " + binding.RoleRef.Name
		}
		if all[key] == nil {
			if key != "Role kube-system extension-apiserver-authentication-reader" { // Kubernetes' own: one ConfigMap
				t.Errorf("%s %s binds %s, which the chart does not have", obj.GetKind(), binding.Name, key)
			}
			continue
		}
		for _, rule := range rules(t, all[key]) {
			found = append(found, grant{namespace: binding.Namespace, PolicyRule: rule})
		}
	}
	return found
}

func rules(t *testing.T, obj *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	role := &rbacv1.Role{}
	must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, role))
	return role.Rules
}

// With a list of namespaces, the operator can do nothing elsewhere but elect a leader and ask who may do what.
func TestNamespacedModeEndsAtItsNamespaces(t *testing.T) {
	all := render(t, "--set=namespaces={berlin,paris}")
	withSecrets := map[string]bool{}
	for _, g := range grants(t, all) {
		switch {
		case slices.Contains(g.Resources, "secrets"), slices.Contains(g.Resources, "*"):
			withSecrets[g.namespace] = true
		case g.namespace == "":
			if !slices.Equal(g.Resources, []string{"subjectaccessreviews"}) || !slices.Equal(g.Verbs, []string{"create"}) {
				t.Errorf("everywhere it may %v %v", g.Verbs, g.Resources)
			}
		}
	}
	if got := slices.Sorted(maps.Keys(withSecrets)); !slices.Equal(got, []string{"berlin", "paris"}) {
		t.Errorf("it has verbs on Secrets in %q", got)
	}
	args := managerArgs(t, all)
	if !slices.Contains(args, "--namespaces=berlin,paris") {
		t.Errorf("it is started with %v", args)
	}
}

// Everywhere it may do in each namespace what it may do everywhere in the other mode, and it never lists Secrets.
func TestBothModesGrantTheSame(t *testing.T) {
	wide, narrow := map[string]bool{}, map[string]bool{}
	for _, g := range grants(t, render(t)) {
		if g.namespace == "" {
			wide[g.String()] = true
		}
		if slices.Contains(g.Resources, "secrets") && (slices.Contains(g.Verbs, "list") || slices.Contains(g.Verbs, "watch")) {
			t.Errorf("it may %v Secrets", g.Verbs)
		}
	}
	for _, g := range grants(t, render(t, "--set=namespaces={berlin}")) {
		if g.namespace == "" || g.namespace == "berlin" {
			narrow[g.String()] = true
		}
	}
	if !maps.Equal(wide, narrow) {
		t.Errorf("everywhere: %v\nin a namespace: %v", slices.Sorted(maps.Keys(wide)), slices.Sorted(maps.Keys(narrow)))
	}
}

// The roles for people name every kind, and only the admin's has what can not be taken back.
func TestRolesOfPeople(t *testing.T) {
	all := render(t)
	var kinds []string
	for _, obj := range all {
		if obj.GetKind() == crd {
			kinds = append(kinds, strings.Split(obj.GetName(), ".")[0])
		}
	}
	slices.Sort(kinds)
	for role, want := range map[string]string{"viewer": "view", "helpdesk": "", "editor": "edit", "admin": "admin"} {
		obj := all["ClusterRole kubemdm-"+role]
		for label := range obj.GetLabels() {
			if to, is := strings.CutPrefix(label, "rbac.authorization.k8s.io/aggregate-to-"); is && to != want {
				t.Errorf("%s is added to %s", role, to)
			}
		}
		if want != "" && obj.GetLabels()["rbac.authorization.k8s.io/aggregate-to-"+want] != "true" {
			t.Errorf("%s is not added to %s", role, want)
		}
		if role == "admin" {
			continue
		}
		if first := rules(t, obj)[0]; !slices.Equal(slices.Sorted(slices.Values(first.Resources)), kinds) {
			t.Errorf("%s reads %v, and the kinds are %v", role, first.Resources, kinds)
		}
		for _, rule := range rules(t, obj) {
			for _, word := range slices.Concat(rule.Verbs, rule.Resources) {
				if slices.Contains([]string{"wipe", "disown", "raw", "reveal", "devicepins", "enrollmentimports", "secrets", "*"}, word) {
					t.Errorf("%s has %s: %v", role, word, rule)
				}
			}
		}
	}
}

// Every action has a role to ask for, and the policy's list and the roles' are one.
func TestActionsHaveRoles(t *testing.T) {
	all := render(t)
	variables, _, err := unstructured.NestedSlice(all["ValidatingAdmissionPolicy kubemdm-actions"].Object, "spec", "variables")
	must(t, err)
	role := variables[1].(map[string]any)["expression"].(string)
	actions, _, err := unstructured.NestedSlice(all[crd+" devicecommands.mdm.kubemdm.io"].Object, "spec", "versions")
	must(t, err)
	enum, found, err := unstructured.NestedSlice(actions[0].(map[string]any),
		"schema", "openAPIV3Schema", "properties", "spec", "properties", "action", "properties", "type", "enum")
	must(t, err)
	if !found || len(enum) < 16 {
		t.Fatalf("the actions are %v", enum)
	}
	for _, action := range enum {
		verb := strings.ToLower(action.(string))
		granted := slices.ContainsFunc(rules(t, all["ClusterRole kubemdm-editor"]), func(r rbacv1.PolicyRule) bool {
			return slices.Equal(r.Resources, []string{"devicecommands"}) && slices.Contains(r.Verbs, verb)
		})
		if named := strings.Contains(role, `"`+verb+`"`); named != granted {
			t.Errorf("%s: granted to editors: %v, named by the policy: %v", verb, granted, named)
		}
		if dangerous := slices.Contains([]string{"wipe", "disown", "raw"}, verb); dangerous == granted {
			t.Errorf("%s: granted to editors: %v", verb, granted)
		}
	}
}

func managerArgs(t *testing.T, all map[string]*unstructured.Unstructured) []string {
	t.Helper()
	deployment := &appsv1.Deployment{}
	into(t, all["Deployment kubemdm-system kubemdm-manager"], deployment)
	return deployment.Spec.Template.Spec.Containers[0].Args
}
