package chart

import (
	"path/filepath"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// Where something is missing, Helm says so before it installs anything, with what to do; then nothing is in the way of the next attempt.
func TestWhatIsMissingIsSaid(t *testing.T) {
	w := newWorld(t)
	w.refused("without cert-manager", "KubeMDM needs cert-manager, which this cluster does not have")
	w.certManager()

	w.label("certificates.cert-manager.io", "v1.11.5")
	w.refused("with an old cert-manager", "KubeMDM needs cert-manager 1.12 or newer, and this cluster has v1.11.5")
	w.label("certificates.cert-manager.io", "v1.21.2")

	w.refused("without a Prometheus operator", "the Prometheus operator, which this cluster does not have", "--set=monitoring.alerts.enabled=true")

	w.refused("without CRDs", "This cluster lacks custom resource definitions of KubeMDM", "--set=crds.install=false")

	out := w.refused("without namespaces", "does not have: berlin, paris", "--set=namespaces={berlin,default,paris}")
	w.shell(out)
	if out, err := w.install("--set=namespaces={berlin,default,paris}"); err != nil {
		t.Fatalf("with all of this: %v\n%s", err, out)
	}
	w.confined("berlin")
}

// refused tries to install, and returns what Helm says.
func (w *world) refused(when, want string, args ...string) string {
	w.Helper()
	out, err := w.install(args...)
	if err == nil || !strings.Contains(out, want) {
		w.Fatalf("%s: %v\n%s", when, err, out)
	}
	return out
}

// label writes the version on a CRD as cert-manager's installation does.
func (w *world) label(name, version string) {
	w.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
	must(w.T, w.Get(w.Context(), client.ObjectKeyFromObject(crd), crd))
	crd.Labels = map[string]string{"app.kubernetes.io/version": version}
	must(w.T, w.Update(w.Context(), crd))
}

// confined asks the API server what the operator may do with Secrets, inside its namespaces and outside.
func (w *world) confined(inside string) {
	w.Helper()
	for namespace, want := range map[string]bool{inside: true, "kube-system": false, system: false, "": false} {
		for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete"} {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User:               "system:serviceaccount:" + system + ":" + release,
				Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + system, "system:authenticated"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Resource: "secrets"},
			}}
			must(w.T, w.Create(w.Context(), review))
			if got := review.Status.Allowed; got && !want || !got && want && verb == "get" {
				w.Errorf("%s Secrets in %q: %v", verb, namespace, got)
			}
		}
	}
}

// CRDs of an older version that nobody of Helm's looks after are named with what they lack; a person adopts them as the message says, and they are upgraded. They
// and their objects survive the release.
func TestKindsAreAdoptedUpgradedAndKept(t *testing.T) {
	w := newWorld(t)
	w.certManager()
	_, err := envtest.InstallCRDs(w.config, envtest.CRDInstallOptions{Paths: []string{filepath.Join(root, "config", "crd", "bases")}})
	must(t, err)
	w.age()

	w.refused("with CRDs of an older version", "they lack mdmserver.spec.silentAfter", "--set=crds.install=false")
	adopt := w.refused("with CRDs that came with kubectl", "they are not of this release")
	w.shell(adopt)
	if out, err := w.install("--set=webhook.enabled=false", "--force-conflicts"); err != nil {
		t.Fatalf("after the adoption: %v\n%s", err, out)
	}
	if !w.upgraded() {
		t.Error("the CRD is as old as it was")
	}

	must(t, w.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fleet"}}))
	device := &mdmv1alpha1.Device{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "ana"}, Spec: mdmv1alpha1.DeviceSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: "mdm"}, SerialNumber: "C02XK1ABJGH5",
	}}
	must(t, w.Create(t.Context(), device))
	if out, err := w.helm("uninstall", release); err != nil || !strings.Contains(out, "CustomResourceDefinition") {
		t.Fatalf("uninstall does not say what it keeps: %v\n%s", err, out)
	}
	before := device.UID
	must(t, w.Get(t.Context(), client.ObjectKeyFromObject(device), device))
	if device.UID != before {
		t.Error("another Device is in its place")
	}
	if out, err := w.install("--set=webhook.enabled=false"); err != nil {
		t.Fatalf("installed again: %v\n%s", err, out)
	}
	other, err := w.helm("install", "second", chart)
	if err == nil || !strings.Contains(other, "crds.install=false") {
		t.Errorf("a second release was answered: %v\n%s", err, other)
	}
	other, err = w.helm("install", "second", chart, "--set=crds.install=false")
	if err == nil || !strings.Contains(other, "live.enabled=false") {
		t.Errorf("a second live view was answered: %v\n%s", err, other)
	}
	if other, err = w.helm("install", "second", chart, "--set=crds.install=false,live.enabled=false,webhook.enabled=false"); err != nil {
		t.Errorf("beside another release: %v\n%s", err, other)
	}
}

// age takes a field off the CRD of MDMServers.
func (w *world) age() {
	w.Helper()
	crd := w.mdmServers()
	delete(crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties, "silentAfter")
	must(w.T, w.Update(w.Context(), crd))
}

func (w *world) upgraded() bool {
	w.Helper()
	_, there := w.mdmServers().Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["silentAfter"]
	return there
}

func (w *world) mdmServers() *apiextensionsv1.CustomResourceDefinition {
	w.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	must(w.T, w.Get(w.Context(), client.ObjectKey{Name: "mdmservers.mdm.kubemdm.io"}, crd))
	return crd
}
