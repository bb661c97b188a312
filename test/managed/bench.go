package managed

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/automatedenrollment"
	"github.com/kubemdm/kubemdm/controllers/device"
	"github.com/kubemdm/kubemdm/controllers/devicecommand"
	"github.com/kubemdm/kubemdm/controllers/profile"
	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// ServerName is the MDMServer of every bench.
const ServerName = "main"

// Bench is one namespace with one MDMServer.
type Bench struct {
	testing.TB
	Namespace string
	Client    client.Client
	// Clock is that of the controllers and of the fleet. It stands still but for Advance.
	Clock *clocktesting.FakePassiveClock
	// Fleet is the server.
	Fleet *Fleet
	// Deps are those of the manager that leads.
	Deps setup.Deps

	// epoch counts the managers; stop ends the one that leads.
	epoch     int64
	stop      func()
	events    chan string
	devices   reconcile.Reconciler
	roster    reconcile.Reconciler
	profiles  reconcile.Reconciler
	commands  reconcile.Reconciler
	automated reconcile.Reconciler
}

// New returns a bench over a fake client.
func New(t testing.TB) *Bench {
	t.Helper()
	b := fake.NewClientBuilder().WithScheme(setup.Scheme()).WithReturnManagedFields().
		WithStatusSubresource(&mdmv1alpha1.MDMServer{}, &mdmv1alpha1.Device{}, &mdmv1alpha1.Profile{}, &mdmv1alpha1.DeviceCommand{}, &mdmv1alpha1.AutomatedEnrollment{})
	if err := setup.IndexFields(t.Context(), indexed{b}); err != nil {
		t.Fatal(err)
	}
	return On(t, b.Build(), "fleet")
}

type indexed struct{ *fake.ClientBuilder }

func (i indexed) IndexField(_ context.Context, obj client.Object, field string, values client.IndexerFunc) error {
	i.WithIndex(obj, field, values)
	return nil
}

// On returns a bench over a client that lists by the indexes of setup.IndexFields, in an empty namespace.
func On(t testing.TB, c client.Client, namespace string) *Bench {
	t.Helper()
	b := &Bench{TB: t, Namespace: namespace, Client: c, events: make(chan string, 10000), stop: func() {}, Clock: clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second))}
	b.Fleet = startFleet(t, b.Clock)
	b.Create(&mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Name: ServerName}, Spec: mdmv1alpha1.MDMServerSpec{Host: "mdm.example.test", Organization: "Example", Apple: &mdmv1alpha1.AppleServer{}}})
	b.Manage()
	return b
}

// Manage starts the reconcilers as a manager does that begins to lead after the last one has ended, and connects to the server.
func (b *Bench) Manage() {
	b.Helper()
	b.stop()
	b.epoch++
	epoch := b.epoch
	b.Deps = setup.NewDeps(setup.Environment{
		Client: b.Client, Events: &events.FakeRecorder{Events: b.events}, Clock: b.Clock,
		Epoch: func(context.Context) (int64, error) { return epoch, nil },
		Log:   testr.NewWithInterface(b, testr.Options{}),
	}, setup.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	links := b.Deps.Links
	go func() { stopped <- links.Start(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		b.Must(<-stopped)
	})
	b.Cleanup(b.stop)
	for _, c := range setup.Controllers(b.Deps) {
		switch c := c.(type) {
		case *device.Reconciler:
			b.devices = reconcile.AsReconciler(b.Client, c)
		case *device.Roster:
			b.roster = c
		case *profile.Reconciler:
			b.profiles = reconcile.AsReconciler(b.Client, c)
		case *devicecommand.Reconciler:
			b.commands = reconcile.AsReconciler(b.Client, c)
		case *automatedenrollment.Reconciler:
			b.automated = reconcile.AsReconciler(b.Client, c)
		}
	}
	b.Connect()
}

// Connect does what the controller of the MDMServer does when its server runs, and waits for the connection.
func (b *Bench) Connect() {
	b.Helper()
	b.Deps.Links.Connect(b.Server(), b.Fleet.endpoint)
	b.Poll("the server is connected", func() bool {
		_, err := b.Deps.Links.Server(b.Server())
		return err == nil
	})
}

// Disconnect does what that controller does when the MDMServer is gone.
func (b *Bench) Disconnect() { b.Deps.Links.Disconnect(b.Server()) }

// Server is the name of the MDMServer.
func (b *Bench) Server() types.NamespacedName { return b.key(ServerName) }

func (b *Bench) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: b.Namespace, Name: name}
}

// Must ends the test on an error.
func (b *Bench) Must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// Create makes an object in the bench's namespace.
func (b *Bench) Create(obj client.Object) {
	b.Helper()
	obj.SetNamespace(b.Namespace)
	// A fake client leaves these as they are.
	obj.SetUID(uuid.NewUUID())
	obj.SetGeneration(1)
	obj.SetCreationTimestamp(metav1.NewTime(b.Clock.Now()))
	b.Must(b.Client.Create(b.Context(), obj))
}

// Get reads an object into obj and returns whether it exists.
func (b *Bench) Get(name string, obj client.Object) bool {
	b.Helper()
	err := b.Client.Get(b.Context(), b.key(name), obj)
	b.Must(client.IgnoreNotFound(err))
	return err == nil
}

// Edit reads an object, changes it and writes it.
func Edit[T client.Object](b *Bench, name string, obj T, change func(T)) {
	b.Helper()
	if !b.Get(name, obj) {
		b.Fatalf("there is no %T %s", obj, name)
	}
	change(obj)
	obj.SetGeneration(obj.GetGeneration() + 1)
	b.Must(b.Client.Update(b.Context(), obj))
}

// Delete deletes an object; its finalizer decides when it goes.
func (b *Bench) Delete(name string, obj client.Object) {
	b.Helper()
	obj.SetNamespace(b.Namespace)
	obj.SetName(name)
	b.Must(b.Client.Delete(b.Context(), obj))
}

// Advance lets time pass for the controllers and the fleet.
func (b *Bench) Advance(d time.Duration) { b.Clock.SetTime(b.Clock.Now().Add(d)) }

// Reconcile calls the reconciler of obj's kind and returns what it answered.
func (b *Bench) Reconcile(obj client.Object) (ctrl.Result, error) {
	b.Helper()
	reconciler := map[string]reconcile.Reconciler{"*v1alpha1.Device": b.devices, "*v1alpha1.Profile": b.profiles, "*v1alpha1.DeviceCommand": b.commands, "*v1alpha1.AutomatedEnrollment": b.automated}[kind(obj)]
	return reconciler.Reconcile(b.Context(), reconcile.Request{NamespacedName: b.key(obj.GetName())})
}

// ReconcileNow is Reconcile for an object that must not fail.
func (b *Bench) ReconcileNow(obj client.Object) ctrl.Result {
	b.Helper()
	result, err := b.Reconcile(obj)
	b.Must(err)
	return result
}

// Pass calls the roster's reconciler, a second after its last pass.
func (b *Bench) Pass() ctrl.Result {
	b.Helper()
	b.Advance(time.Second)
	return b.PassNow()
}

// PassNow calls the roster's reconciler.
func (b *Bench) PassNow() ctrl.Result {
	b.Helper()
	result, err := b.roster.Reconcile(b.Context(), reconcile.Request{NamespacedName: b.Server()})
	b.Must(err)
	return result
}

// Round passes over the roster and reconciles every object once.
func (b *Bench) Round() {
	b.Helper()
	b.Pass()
	for _, list := range []client.ObjectList{&mdmv1alpha1.AutomatedEnrollmentList{}, &mdmv1alpha1.DeviceList{}, &mdmv1alpha1.ProfileList{}, &mdmv1alpha1.DeviceCommandList{}} {
		b.Must(b.Client.List(b.Context(), list, client.InNamespace(b.Namespace)))
		b.Must(meta.EachListItem(list, func(o runtime.Object) error {
			_, err := b.Reconcile(o.(client.Object))
			return err
		}))
	}
}

// Until makes rounds until the condition holds. How many that takes is up to the feed of the server.
func (b *Bench) Until(what string, holds func() bool) {
	b.Helper()
	b.Poll(what, func() bool {
		b.Round()
		return holds()
	})
}

// UntilAcked makes rounds until the server has no row of a kind that the manager must still hear of.
func (b *Bench) UntilAcked(kind adminapi.Kind) {
	b.Helper()
	b.Until("every row is acked", func() bool { return b.Fleet.dirty(kind) == 0 })
}

// Poll waits until the condition holds.
func (b *Bench) Poll(what string, holds func() bool) {
	b.Helper()
	err := wait.PollUntilContextTimeout(b.Context(), 10*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) { return holds(), nil })
	if err != nil {
		b.Fatalf("waiting until %s: %v", what, err)
	}
}

// Counted says whether the manager knows that n devices have a Profile.
func (b *Bench) Counted(profile string, n int) bool {
	b.Helper()
	server, err := b.Deps.Links.Server(b.Server())
	b.Must(err)
	artifact, _ := server.Artifact(adminapi.Key(b.Namespace + "/" + profile))
	return artifact.Installed == n
}

// Told returns the events since the last call.
func (b *Bench) Told() []string {
	var told []string
	for {
		select {
		case e := <-b.events:
			told = append(told, e)
		default:
			return told
		}
	}
}

// logger is where the fleet's words go.
func logger(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
