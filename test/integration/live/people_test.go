package live_test

import (
	"context"
	"encoding/json"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
)

// person is somebody who asks through the API server.
type person struct {
	*world
	name   string
	config *rest.Config
	client dynamic.Interface
	raw    rest.Interface
}

// person makes a user who has a ClusterRole in the world's namespace; no role: no rights at all.
func (w *world) person(name, role string) *person {
	w.Helper()
	name += "-" + w.ns
	user, err := shared.server.AddUser(envtest.User{Name: name}, nil)
	w.must(err)
	if role != "" {
		w.bind(name, "ClusterRole", role)
	}
	p := &person{world: w, name: name, config: user.Config()}
	p.client, err = dynamic.NewForConfig(p.config)
	w.must(err)
	clients, err := kubernetes.NewForConfig(p.config)
	w.must(err)
	p.raw = clients.RESTClient()
	return p
}

func (w *world) bind(user, kind, role string) {
	w.Helper()
	w.create(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{GenerateName: "live-"}, RoleRef: refTo(kind, role),
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}})
}

// role makes a Role on the live view.
func (w *world) role(name string, verbs []string, resources ...string) {
	w.Helper()
	w.create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{livev1alpha1.GroupVersion.Group}, Resources: resources, Verbs: verbs},
	}})
}

func (p *person) in(namespace, resource string) dynamic.ResourceInterface {
	return p.client.Resource(livev1alpha1.GroupVersion.WithResource(resource)).Namespace(namespace)
}

// read gets one object of the live view.
func read[T any](p *person, resource, name string) (*T, error) {
	return decode[T](p.in(p.ns, resource).Get(p.Context(), name, metav1.GetOptions{}))
}

// mustRead is read for what must not fail.
func mustRead[T any](p *person, resource, name string) *T {
	p.Helper()
	out, err := read[T](p, resource, name)
	if err != nil {
		p.Fatalf("%s reads %s/%s: %v", p.name, resource, name, err)
	}
	return out
}

func decode[T any](u *unstructured.Unstructured, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	out := new(T)
	return out, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, out)
}

// post sends a body to a path of the live view in the world's namespace, as kubectl create --raw does.
func (p *person) post(path string, body any) ([]byte, error) {
	p.Helper()
	b, err := json.Marshal(body)
	p.must(err)
	return p.raw.Post().AbsPath("/apis/live.mdm.kubemdm.io/v1alpha1/namespaces/"+p.ns+"/"+path).SetHeader("Content-Type", "application/json").Body(b).DoRaw(p.Context())
}

// table reads what kubectl get prints.
func (p *person) table(path string) (*metav1.Table, error) {
	out := &metav1.Table{}
	b, err := p.raw.Get().AbsPath("/apis/live.mdm.kubemdm.io/v1alpha1/namespaces/"+p.ns+"/"+path).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").DoRaw(p.Context())
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, b)
	}
	return out, json.Unmarshal(b, out)
}

// events lists what happened, and where a watch may go on.
func (p *person) events(ctx context.Context, opts metav1.ListOptions) (*livev1alpha1.DeviceEventList, error) {
	list, err := p.in(p.ns, "deviceevents").List(ctx, opts)
	if err != nil {
		return nil, err
	}
	out := &livev1alpha1.DeviceEventList{}
	return out, runtime.DefaultUnstructuredConverter.FromUnstructured(list.UnstructuredContent(), out)
}
