package loop_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

const (
	crds      = "../../../config/crd/bases"
	healthLua = "../../../docs/gitops/argocd/health.lua"
	argoCM    = "../../../docs/gitops/argocd/argocd-cm.yaml"
)

// life is a state in the life of an object, and what tools of GitOps make of it.
type life struct {
	name    string
	kstatus status.Status
	argo    string
	// live brings an object that was just made into the state.
	live func(o *object)
}

var lives = []life{
	{"new", status.InProgressStatus, "Progressing", func(*object) {}},
	{"waiting", status.InProgressStatus, "Progressing", func(o *object) { o.reconcile(loop.Wait("ServerNotFound", 0, "there is no MDMServer")) }},
	{"failing", status.InProgressStatus, "Progressing", func(o *object) { o.reconcile(errors.New("the API server is away")) }},
	{"ready", status.CurrentStatus, "Healthy", func(o *object) { o.reconcile(nil) }},
	{"edited", status.InProgressStatus, "Progressing", func(o *object) {
		o.reconcile(nil)
		o.change(func(u mdmv1alpha1.Object) { u.SetGeneration(u.GetGeneration() + 1) })
	}},
	{"ready again", status.CurrentStatus, "Healthy", func(o *object) {
		o.reconcile(loop.Stall("Invalid", "no"))
		o.change(func(u mdmv1alpha1.Object) { u.SetGeneration(u.GetGeneration() + 1) })
		o.reconcile(nil)
	}},
	{"stalled", status.FailedStatus, "Degraded", func(o *object) { o.reconcile(loop.Stall("Invalid", "spec contradicts itself")) }},
	{"paused", status.InProgressStatus, "Suspended", func(o *object) {
		o.reconcile(nil)
		o.change(func(u mdmv1alpha1.Object) { u.SetAnnotations(map[string]string{mdmv1alpha1.AnnotationPaused: "true"}) })
		o.reconcile(nil)
	}},
	{"paused before it was looked at", status.InProgressStatus, "Suspended", func(o *object) {
		o.change(func(u mdmv1alpha1.Object) { u.SetAnnotations(map[string]string{mdmv1alpha1.AnnotationPaused: "true"}) })
		o.reconcile(nil)
	}},
	{"deleting", status.TerminatingStatus, "Progressing", func(o *object) {
		o.reconcile(nil)
		if err := o.client.Delete(o.Context(), o.get()); err != nil {
			o.Fatal(err)
		}
		o.reconcile(loop.Wait("ServerUnreachable", time.Minute, "the server was not told"))
	}},
}

// Every kind is in every state of its life what kstatus (Flux, cli-utils, kubectl wait by tools) and Argo CD's script should take it for.
func TestGitOpsToolsJudgeEveryKind(t *testing.T) {
	files, err := filepath.Glob(crds + "/*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d CRDs: %v", len(files), err)
	}
	for _, file := range files {
		crd := readCRD(t, file)
		for _, l := range lives {
			t.Run(crd.Spec.Names.Kind+" "+l.name, func(t *testing.T) {
				o := newObject(t, crd)
				l.live(o)
				u := o.unstructured()
				result, err := status.Compute(u)
				if err != nil {
					t.Fatal(err)
				}
				if result.Status != l.kstatus {
					t.Errorf("kstatus says %s (%s), want %s", result.Status, result.Message, l.kstatus)
				}
				health, message := argoHealth(t, u)
				if health != l.argo {
					t.Errorf("Argo CD says %s (%s), want %s", health, message, l.argo)
				}
				if health == "Degraded" && message != "spec contradicts itself" {
					t.Errorf("Argo CD shows %q", message)
				}
			})
		}
	}
}

func readCRD(t *testing.T, file string) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{}
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.UnmarshalStrict(text, crd)
	}
	if err != nil {
		t.Fatal(err)
	}
	return crd
}

// object is one object of a kind in a fake API server.
type object struct {
	*testing.T
	client client.Client
	engine loop.Engine
	empty  mdmv1alpha1.Object
}

// newObject makes an object as the API server gives it out that nobody has looked at yet: with the defaults of its status.
func newObject(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition) *object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := mdmv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	made, err := scheme.New(mdmv1alpha1.GroupVersion.WithKind(crd.Spec.Names.Kind))
	if err != nil {
		t.Fatal(err)
	}
	empty := made.(mdmv1alpha1.Object)
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, internal, nil); err != nil {
		t.Fatal(err)
	}
	structural, err := schema.NewStructural(internal)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]any{"metadata": map[string]any{"namespace": "fleet", "name": "one", "generation": int64(1)}}
	defaulting.Default(content, structural)
	first := empty.DeepCopyObject().(mdmv1alpha1.Object)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, first); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(first).WithStatusSubresource(first).Build()
	return &object{T: t, client: c, empty: empty, engine: loop.Engine{
		Client: c, Events: &events.FakeRecorder{}, Clock: clocktesting.NewFakePassiveClock(time.Unix(1_700_000_000, 0)),
	}}
}

func (o *object) get() mdmv1alpha1.Object {
	o.Helper()
	found := o.empty.DeepCopyObject().(mdmv1alpha1.Object)
	if err := o.client.Get(o.Context(), client.ObjectKey{Namespace: "fleet", Name: "one"}, found); err != nil {
		o.Fatal(err)
	}
	return found
}

func (o *object) change(how func(mdmv1alpha1.Object)) {
	o.Helper()
	found := o.get()
	how(found)
	if err := o.client.Update(o.Context(), found); err != nil {
		o.Fatal(err)
	}
}

// reconcile runs the engine once, with one step for each known condition, the first of which ends as given.
func (o *object) reconcile(err error) {
	o.Helper()
	found := o.get()
	spec := loop.Spec{}
	for i, condition := range found.KnownConditions()[1:] {
		outcome := err
		if i > 0 {
			outcome = nil
		}
		spec.Steps = append(spec.Steps, step(condition, outcome))
		spec.Ready = append(spec.Ready, condition)
	}
	spec.Finalize = spec.Steps[:1]
	if _, got := o.engine.Run(o.Context(), found, spec); got != nil && !errors.Is(got, err) {
		o.Fatal(got)
	}
}

func (o *object) unstructured() *unstructured.Unstructured {
	o.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o.get())
	if err != nil {
		o.Fatal(err)
	}
	return &unstructured.Unstructured{Object: content}
}

// argoHealth runs the script as Argo CD does: with the basic and the table library only.
func argoHealth(t *testing.T, u *unstructured.Unstructured) (health, message string) {
	t.Helper()
	script, err := os.ReadFile(healthLua)
	if err != nil {
		t.Fatal(err)
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	state.SetGlobal("obj", toLua(state, u.Object))
	if err := state.DoString(string(script)); err != nil {
		t.Fatal(err)
	}
	result, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		t.Fatalf("the script returns %s", state.Get(-1).Type())
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String()
}

// toLua turns what was JSON into values of Lua.
func toLua(state *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range v {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range v {
			table.Append(toLua(state, item))
		}
		return table
	case string:
		return lua.LString(v)
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	}
	return lua.LNil
}

// The ConfigMap to patch Argo CD with holds the very script that is tested, for all kinds.
func TestArgoConfigMapHoldsTheScript(t *testing.T) {
	script, err := os.ReadFile(healthLua)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(argoCM)
	if err != nil {
		t.Fatal(err)
	}
	var cm struct{ Data map[string]string }
	if err := yaml.Unmarshal(text, &cm); err != nil {
		t.Fatal(err)
	}
	var customizations map[string]map[string]string
	if err := yaml.Unmarshal([]byte(cm.Data["resource.customizations"]), &customizations); err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]string{mdmv1alpha1.GroupVersion.Group + "/*": {"health.lua": string(script)}}
	if !reflect.DeepEqual(customizations, want) {
		got, _ := json.Marshal(customizations)
		t.Errorf("argocd-cm.yaml holds another script than health.lua: %s", strings.ReplaceAll(string(got), `\n`, "\n"))
	}
}
