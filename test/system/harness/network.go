package harness

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

// network is how devices in this process see the cluster: Services have their names, and the server is trusted.
type network struct {
	*Walk
	roots *x509.CertPool
	// addresses are those of Services, by their names.
	addresses sync.Map
}

// trust makes a token whose devices get the label team, and returns the network and the token's Secret.
func (w *Walk) trust(ctx context.Context, team string) (*network, *corev1.Secret, error) {
	token := &mdmv1alpha1.EnrollmentToken{ObjectMeta: w.meta(team), Spec: mdmv1alpha1.EnrollmentTokenSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: ServerName}, Labels: map[string]string{"team": team},
	}}
	if err := w.Create(ctx, token); err != nil {
		return nil, nil, err
	}
	if err := w.Wait(ctx, "the token", w.Satisfied(token, mdmv1alpha1.ConditionReady)); err != nil {
		return nil, nil, err
	}
	secret := &corev1.Secret{ObjectMeta: w.meta(token.Status.SecretRef.Name)}
	if err := w.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		return nil, nil, err
	}
	n, err := w.network(ctx)
	return n, secret, err
}

// network is how the cluster looks to a device that trusts the server.
func (w *Walk) network(ctx context.Context) (*network, error) {
	serving := &corev1.Secret{ObjectMeta: w.meta(ServerName + "-serving")}
	if err := w.Get(ctx, client.ObjectKeyFromObject(serving), serving); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(serving.Data[caKey])
	return &network{Walk: w, roots: roots}, nil
}

func (n *network) client() *http.Client {
	c := devicesim.NewClient(n.roots)
	c.Timeout = requestTimeout
	c.Transport.(*http.Transport).DialContext = n.dial
	c.Transport = &devicesim.Network{Next: c.Transport, Around: n.Around}
	return c
}

// dial finds Services by their names in the cluster.
func (n *network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	name, inCluster := strings.CutSuffix(host, "."+n.Namespace+".svc.cluster.local")
	if !inCluster {
		return nil, fmt.Errorf("%s is not in the namespace %s", host, n.Namespace)
	}
	known, found := n.addresses.Load(name)
	if !found {
		service := &corev1.Service{ObjectMeta: n.meta(name)}
		if err := n.Get(ctx, client.ObjectKeyFromObject(service), service); err != nil {
			return nil, err
		}
		known, _ = n.addresses.LoadOrStore(name, service.Spec.ClusterIP)
	}
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, net.JoinHostPort(known.(string), port))
	if err != nil {
		n.addresses.Delete(name) // the Service may have been made anew
	}
	return conn, err
}
