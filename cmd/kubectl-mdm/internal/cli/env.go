package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/cli-runtime/pkg/printers"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

// FieldManager is the name under which the API server remembers what these commands wrote.
const FieldManager = "kubectl-mdm"

// Env is what commands need of the world around them.
type Env struct {
	genericiooptions.IOStreams
	// Flags say which cluster and namespace, as those of kubectl do.
	Flags *genericclioptions.ConfigFlags
	Clock clock.PassiveClock
	// Colour says whether Out shows colours: a terminal, of somebody who wants them.
	Colour bool
	// Progress says whether ErrOut shows lines that are written over: a terminal.
	Progress bool
	// Connect returns a client of the cluster that Flags name.
	Connect func() (client.WithWatch, error)
	// Logs reads the log of a container.
	Logs func(ctx context.Context, namespace, pod string, options *corev1.PodLogOptions) (io.ReadCloser, error)
	// ServerVersion is that of the API server.
	ServerVersion func() (string, error)
}

// Session is a client and the namespace that was asked for.
type Session struct {
	client.WithWatch
	Namespace string
}

// Scheme knows the kinds that commands read and write.
var Scheme = scheme()

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(mdmv1alpha1.AddToScheme(s))
	utilruntime.Must(livev1alpha1.AddToScheme(s))
	return s
}

// New returns the Env of a real command.
func New(streams genericiooptions.IOStreams) *Env {
	e := &Env{
		IOStreams: streams, Flags: genericclioptions.NewConfigFlags(true), Clock: clock.RealClock{},
		Colour: printers.AllowsColorOutput(streams.Out), Progress: printers.AllowsColorOutput(streams.ErrOut),
	}
	e.Connect, e.Logs, e.ServerVersion = e.connect, e.logs, e.serverVersion
	return e
}

func (e *Env) connect() (client.WithWatch, error) {
	config, err := e.Flags.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.WarningHandler = rest.NewWarningWriter(e.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	mapper, err := mapper(config, httpClient)
	if err != nil {
		return nil, err
	}
	// Strict: a field that the installed version of KubeMDM does not know is an error, not a wish that is lost.
	return client.NewWithWatch(config, client.Options{
		Scheme: Scheme, HTTPClient: httpClient, Mapper: mapper, FieldOwner: FieldManager, FieldValidation: metav1.FieldValidationStrict,
	})
}

// Open connects to the cluster.
func (e *Env) Open() (*Session, error) {
	namespace, _, err := e.Flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	c, err := e.Connect()
	if err != nil {
		return nil, err
	}
	return &Session{WithWatch: c, Namespace: namespace}, nil
}

// Run makes a function of a session the body of a command.
func (e *Env) Run(body func(cmd *cobra.Command, s *Session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := e.Open()
		if err != nil {
			return Explain(err)
		}
		return Explain(body(cmd, s, args))
	}
}
