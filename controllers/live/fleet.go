package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

const (
	// askTimeout bounds one question to a server, and longTimeout one that it works on for longer.
	askTimeout  = 15 * time.Second
	longTimeout = 50 * time.Second
	// atOnce is how soon a call must have failed to be tried again: a pod that has restarted refuses the old connection at once, one that is gone does not.
	atOnce = 2 * time.Second
)

// fleet finds objects and servers, and asks the servers.
type fleet struct {
	Options
	clients *link.Clients
	watches chan struct{}
}

func newFleet(opts Options) *fleet {
	f := &fleet{Options: opts, watches: make(chan struct{}, maxWatches)}
	f.clients = link.NewClients(link.ClientOptions{Endpoint: f.endpoint, Epoch: opts.Epoch, Dial: opts.Dial, Clock: opts.Clock})
	return f
}

// endpoint is what the leader's connection is made of.
func (f *fleet) endpoint(ctx context.Context, server types.NamespacedName) (link.Endpoint, error) {
	object := owned.Server{MDMServer: &mdmv1alpha1.MDMServer{}}
	if err := f.get(ctx, server, object.MDMServer, "mdmservers"); err != nil {
		return link.Endpoint{}, err
	}
	secret, err := owned.GetSecret(ctx, f.Reader, server.Namespace, object.AdminClientName())
	if err != nil {
		return link.Endpoint{}, err
	}
	if secret == nil || len(secret.Data[serverconfig.CertFile]) == 0 || len(secret.Data[serverconfig.KeyFile]) == 0 {
		return link.Endpoint{}, unavailable("the MDMServer %s is not set up yet: see its conditions (kubectl describe mdmserver %s)", server.Name, server.Name)
	}
	return link.Endpoint{
		URL: object.AdminURL(), Cert: secret.Data[serverconfig.CertFile], Key: secret.Data[serverconfig.KeyFile], CA: secret.Data[serverconfig.CAFile],
	}, nil
}

// get reads an object of a managed namespace; resource is the name of its kind in paths. It must not be changed.
func (f *fleet) get(ctx context.Context, key types.NamespacedName, into client.Object, resource string) error {
	if !f.manages(key.Namespace) {
		return notManaged(key.Namespace, f.Namespaces)
	}
	err := f.Reader.Get(ctx, key, into, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(mdmv1alpha1.GroupVersion.WithResource(resource).GroupResource(), key.Name)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", resource, err)
	}
	return nil
}

func (f *fleet) manages(namespace string) bool {
	return len(f.Namespaces) == 0 || slices.Contains(f.Namespaces, namespace)
}

// servers lists the MDMServers of a namespace, or of all that are managed, by name.
func (f *fleet) servers(ctx context.Context, namespace string) ([]types.NamespacedName, error) {
	if namespace != "" && !f.manages(namespace) {
		return nil, notManaged(namespace, f.Namespaces)
	}
	list := &mdmv1alpha1.MDMServerList{}
	if err := f.Reader.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing MDMServers: %w", err)
	}
	names := make([]types.NamespacedName, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, client.ObjectKeyFromObject(&list.Items[i]))
	}
	slices.SortFunc(names, func(a, b types.NamespacedName) int { return cmp.Compare(a.String(), b.String()) })
	return names, nil
}

// named is the name and the serial number of the Device that speaks for a device of a server; both are empty if there is none.
func (f *fleet) named(ctx context.Context, server types.NamespacedName, id string) (name, serial string, err error) {
	d, err := roster.Named(ctx, f.Reader, server, id)
	if err != nil || d == nil {
		return "", "", err
	}
	serial = d.Spec.SerialNumber
	if h := d.Status.Hardware; serial == "" && h != nil {
		serial = h.SerialNumber
	}
	return d.Name, serial, nil
}

// question is a call of the internal API.
type question[T any] func(ctx context.Context, c *adminapi.Client) (T, error)

// ask puts a question to a server. What goes wrong is said in an error for whoever asked us, but for adminapi.CodeNotFound, which callers know to explain.
func ask[T any](ctx context.Context, f *fleet, server types.NamespacedName, limit time.Duration, q question[T]) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := f.Clock.Now()
	for again := true; ; again = false {
		c, err := f.clients.Client(ctx, server)
		if err != nil {
			var none T
			return none, explain(server, err)
		}
		answer, err := q(ctx, c)
		code := adminapi.CodeOf(err)
		if err == nil || code == adminapi.CodeNotFound {
			return answer, err
		}
		stale := code == adminapi.CodeAnotherManager || code == "" && ctx.Err() == nil
		if stale {
			f.clients.Forget(server) // the leader, the certificate or the server's pod may be another one by now
		}
		if !again || !stale || f.Clock.Since(began) > atOnce {
			return answer, explain(server, err)
		}
	}
}

// namespaceOf is the namespace of a request; empty: all.
func namespaceOf(ctx context.Context) string { return genericapirequest.NamespaceValue(ctx) }

// isUnknown says whether a server does not know what it was asked for.
func isUnknown(err error) bool { return adminapi.CodeOf(err) == adminapi.CodeNotFound }

// isStatus says whether an error can be answered as it is.
func isStatus(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}
