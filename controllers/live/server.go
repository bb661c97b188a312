package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/util/compatibility"
	restclient "k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/live/openapi"
)

const (
	// maxBody bounds one request: 500 enrolments with their certificates and tokens fit.
	maxBody = 4 << 20
	// maxReads and maxWrites bound the requests at a time, watches aside.
	maxReads, maxWrites = 100, 20
	// requestTimeout bounds one request, and drain how long a manager that ends waits for those that it has begun.
	requestTimeout = 60 * time.Second
	drain          = 10 * time.Second
)

// Options of the live view.
type Options struct {
	// Reader reads objects from the manager's cache, with the indexes of controllers/setup, and Secrets from the API server.
	Reader client.Reader
	// Namespaces that are managed; empty: all.
	Namespaces []string
	// Epoch reads the lease epoch of the manager that leads.
	Epoch func(context.Context) (int64, error)
	// Dial replaces the way to the servers, for a manager outside of the cluster.
	Dial link.DialFunc
	// Writer makes Events.
	Writer client.Writer
	Clock  clock.WithTicker
	Log    logr.Logger

	// Config leads to the API server that is asked who may do what.
	Config *restclient.Config
	// Serving makes the listener and reads the certificate when the live view starts.
	Serving func() (*genericapiserver.SecureServingInfo, error)
}

// Server is the live view. It is a manager.Runnable of every manager.
type Server struct {
	opts    Options
	started chan struct{}
}

// New returns a live view that does not listen yet.
func New(opts Options) *Server { return &Server{opts: opts, started: make(chan struct{})} }

// NeedLeaderElection makes every manager serve: a Service balances over them.
func (s *Server) NeedLeaderElection() bool { return false }

// Ready fails until requests are answered.
func (s *Server) Ready() error {
	select {
	case <-s.started:
		return nil
	default:
		return errors.New("the live view does not listen yet")
	}
}

// Start serves until ctx ends.
func (s *Server) Start(ctx context.Context) error {
	serving, err := s.opts.Serving()
	if err != nil {
		return fmt.Errorf("serving the live view: %w", err)
	}
	config, err := s.config(serving)
	if err != nil {
		return err
	}
	server, err := config.Complete(nil).New("kubemdm-live", genericapiserver.NewEmptyDelegate())
	if err != nil {
		return fmt.Errorf("making the live view: %w", err)
	}
	server.ShutdownTimeout = drain
	f := newFleet(s.opts)
	defer f.clients.Close()
	group := genericapiserver.NewDefaultAPIGroupInfo(livev1alpha1.GroupVersion.Group, scheme, parameterCodec, codecs.CodecFactory)
	group.NegotiatedSerializer = codecs
	group.VersionedResourcesStorageMap[livev1alpha1.GroupVersion.Version] = resources(f, config.Authorization.Authorizer)
	if err := server.InstallAPIGroup(&group); err != nil {
		return fmt.Errorf("making the live view: %w", err)
	}
	if err := server.AddPostStartHook("kubemdm-live-started", func(genericapiserver.PostStartHookContext) error {
		close(s.started)
		return nil
	}); err != nil {
		return err
	}
	s.opts.Log.Info("serving the live view", "address", serving.Listener.Addr().String())
	return server.PrepareRun().RunWithContext(ctx)
}

// config is that of an API server without a store of its own: whom a request is from and whether it may, the API server of the cluster says.
func (s *Server) config(serving *genericapiserver.SecureServingInfo) (*genericapiserver.Config, error) {
	config := genericapiserver.NewConfig(codecs.CodecFactory)
	config.Serializer = codecs
	config.SecureServing = serving
	config.LoopbackClientConfig = &restclient.Config{} // nothing here calls it, so there is no privileged account for it
	config.EffectiveVersion = compatibility.DefaultBuildEffectiveVersion()
	config.EnableIndex, config.EnableProfiling, config.EnableMetrics = false, false, false
	config.MaxRequestBodyBytes = maxBody
	config.MaxRequestsInFlight, config.MaxMutatingRequestsInFlight = maxReads, maxWrites
	config.RequestTimeout = requestTimeout
	config.ShutdownWatchTerminationGracePeriod = drain / 2
	namer := apiopenapi.NewDefinitionNamer(scheme)
	config.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIConfig.Info.Title = "KubeMDM live view"
	config.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(openapi.GetOpenAPIDefinitions, namer)
	config.OpenAPIV3Config.Info.Title = "KubeMDM live view"
	return config, delegate(config, s.opts.Config)
}

// Resources are the resources of the live view, by their path below the version. The authorizer is asked for the verbs that no path shows.
func Resources(opts Options, may authorizer.Authorizer) map[string]rest.Storage {
	return resources(newFleet(opts), may)
}

func resources(f *fleet, may authorizer.Authorizer) map[string]rest.Storage {
	return map[string]rest.Storage{
		"devicereports":      &deviceReports{fleet: f},
		"devicereports/push": &devicePushes{fleet: f},
		"profilereports":     &profileReports{fleet: f},
		"deviceevents":       &deviceEvents{fleet: f},
		"devicepins":         &devicePINs{fleet: f, may: may},
		"enrollmentimports":  &enrollmentImports{fleet: f},
	}
}
