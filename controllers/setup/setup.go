package setup

import (
	"context"
	"errors"
	"fmt"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/apnscertificate"
	"github.com/kubemdm/kubemdm/controllers/automatedenrollment"
	"github.com/kubemdm/kubemdm/controllers/device"
	"github.com/kubemdm/kubemdm/controllers/devicecommand"
	"github.com/kubemdm/kubemdm/controllers/enrollmenttoken"
	"github.com/kubemdm/kubemdm/controllers/internal/apple"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/pace"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/controllers/mdmserver"
	"github.com/kubemdm/kubemdm/controllers/profile"
	"github.com/kubemdm/kubemdm/webhooks"
)

// leaseName is the Lease by which managers elect their leader. The time at which it was acquired is the lease epoch that servers see.
const leaseName = "kubemdm-manager"

// Options configure a manager.
type Options struct {
	// Namespace is where the manager runs and keeps its Lease.
	Namespace string
	// Namespaces that are managed; empty: all.
	Namespaces []string
	// ServerImage is the image of servers whose MDMServer names none.
	ServerImage string
	// Webhooks serves admission webhooks with the certificate in WebhookCertDir. Everything is validated without them too.
	Webhooks       bool
	WebhookCertDir string
	// LiveAddress is where the live view listens with the certificate in LiveCertDir; "0" and "" turn it off.
	LiveAddress, LiveCertDir string
	// MetricsAddress and HealthAddress are listen addresses; "0" turns one off.
	MetricsAddress, HealthAddress string
	// Dial replaces the way to the servers, for a manager outside of the cluster.
	Dial link.DialFunc
	// Metrics takes the collectors; nil: controller-runtime's registry.
	Metrics prometheus.Registerer
	// Adjust changes the manager's options last, for tests that run several in one process.
	Adjust func(*ctrl.Options)
}

// Environment is what controllers get from outside: from a manager, or from a test that calls them.
type Environment struct {
	Client client.Client
	Events events.EventRecorder
	Clock  clock.PassiveClock
	// Epoch reads the lease epoch that every call to a server carries.
	Epoch func(context.Context) (int64, error)
	Log   logr.Logger
}

// Endpoint says how to reach one server's internal API.
type Endpoint = link.Endpoint

// Deps is what controllers are made of.
type Deps struct {
	Engine loop.Engine
	// Links is to be started with the controllers.
	Links   *link.Registry
	Options Options
}

// NewDeps makes what controllers share.
func NewDeps(env Environment, opts Options) Deps {
	return Deps{
		Engine:  loop.Engine{Client: env.Client, Events: env.Events, Clock: env.Clock},
		Links:   link.NewRegistry(link.Options{Epoch: env.Epoch, Dial: opts.Dial, Log: env.Log.WithName("link")}),
		Options: opts,
	}
}

// Controller is one kind's controller.
type Controller interface {
	SetupWithManager(ctrl.Manager) error
}

// Controllers is the list of all controllers.
func Controllers(d Deps) []Controller {
	sessions, book := &apple.Sessions{}, &roster.Book{Clock: d.Engine.Clock}
	return []Controller{
		&mdmserver.Reconciler{Engine: d.Engine, Links: d.Links, Image: d.Options.ServerImage, Namespace: d.Options.Namespace},
		&apnscertificate.Reconciler{Engine: d.Engine, Links: d.Links},
		&enrollmenttoken.Reconciler{Engine: d.Engine, Links: d.Links},
		&automatedenrollment.Reconciler{Engine: d.Engine, Links: d.Links, Apple: sessions},
		&device.Reconciler{Engine: d.Engine, Links: d.Links},
		&device.Roster{Client: d.Engine.Client, Links: d.Links, Book: book, Clock: d.Engine.Clock},
		&profile.Reconciler{Engine: d.Engine, Links: d.Links, Book: book, Pace: pace.New(d.Engine.Clock)},
		&devicecommand.Reconciler{Engine: d.Engine, Links: d.Links, Pace: pace.New(d.Engine.Clock), Apple: sessions},
	}
}

// Scheme knows every kind that controllers read or write.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, mdmv1alpha1.AddToScheme, cmapi.AddToScheme, gatewayv1.Install} {
		utilruntime.Must(add(scheme))
	}
	return scheme
}

// New returns a manager with all controllers, ready to start.
func New(ctx context.Context, cfg *rest.Config, opts Options) (ctrl.Manager, error) {
	written := newWrites()
	mgr, err := newManager(cfg, opts, written)
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	if err := IndexFields(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	lease := client.ObjectKey{Namespace: opts.Namespace, Name: leaseName}
	epoch := func(ctx context.Context) (int64, error) { return leaseEpoch(ctx, mgr.GetAPIReader(), lease) }
	kept, err := keep(ctx, mgr)
	if err != nil {
		return nil, err
	}
	deps := NewDeps(Environment{
		Client: kept,
		Events: mgr.GetEventRecorder("kubemdm"),
		Clock:  clock.RealClock{},
		Epoch:  epoch,
		Log:    mgr.GetLogger(),
	}, opts)
	if err := mgr.Add(deps.Links); err != nil {
		return nil, err
	}
	for _, c := range Controllers(deps) {
		if err := c.SetupWithManager(mgr); err != nil {
			return nil, fmt.Errorf("setting up %T: %w", c, err)
		}
	}
	if opts.Webhooks {
		if err := webhooks.SetupAll(mgr); err != nil {
			return nil, fmt.Errorf("setting up the webhooks: %w", err)
		}
	}
	if err := addLive(mgr, epoch, opts); err != nil {
		return nil, fmt.Errorf("setting up the live view: %w", err)
	}
	return mgr, errors.Join(observe(mgr, kept, opts), opts.Metrics.Register(written.total))
}

func newManager(cfg *rest.Config, opts Options, written writes) (ctrl.Manager, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(written.around)
	if cfg.QPS == 0 {
		// A manager writes with a dozen requests at a time at most, and the API server's own priority and fairness does the rest; a limit in the client would
		// let a large fleet wait for minutes.
		cfg.QPS = -1
	}
	o := ctrl.Options{
		Scheme:                        Scheme(),
		Cache:                         cacheOptions(opts.Namespaces),
		Client:                        clientOptions(),
		LeaderElection:                true,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       opts.Namespace,
		LeaderElectionReleaseOnCancel: true,
		Metrics:                       metricsserver.Options{BindAddress: opts.MetricsAddress},
		HealthProbeBindAddress:        opts.HealthAddress,
		WebhookServer:                 webhook.NewServer(webhook.Options{CertDir: opts.WebhookCertDir}),
	}
	o.Controller.MaxConcurrentReconciles = 4
	if opts.Adjust != nil {
		opts.Adjust(&o)
	}
	return ctrl.NewManager(cfg, o)
}

func observe(mgr ctrl.Manager, reader client.Reader, opts Options) error {
	ready := healthz.Ping
	if opts.Webhooks {
		ready = mgr.GetWebhookServer().StartedChecker()
	}
	return errors.Join(opts.Metrics.Register(Collector(reader, clock.RealClock{})),
		mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ready", ready))
}
