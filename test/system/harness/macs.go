package harness

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/devicesim"
)

const (
	// workers is how many Macs do something at the same time.
	workers = 16
	// requestTimeout is how long a Mac waits for a server that has vanished without a word.
	requestTimeout = 10 * time.Second
)

// Macs are simulated Macs in this process, which a test can script, unlike those in pods. They are enrolled.
type Macs struct {
	*devicesim.Fleet
}

// EnrolMacs makes a token whose Macs get the label team, and enrols as many over the server's Service. It works on the cluster's node only.
func (w *Walk) EnrolMacs(ctx context.Context, team string, count int) (*Macs, error) {
	token := &mdmv1alpha1.EnrollmentToken{ObjectMeta: w.meta(team), Spec: mdmv1alpha1.EnrollmentTokenSpec{
		ServerRef: mdmv1alpha1.LocalReference{Name: ServerName}, Labels: map[string]string{"team": team},
	}}
	if err := w.Create(ctx, token); err != nil {
		return nil, err
	}
	if err := w.Wait(ctx, "the token", w.Satisfied(token, mdmv1alpha1.ConditionReady)); err != nil {
		return nil, err
	}
	secret, serving := &corev1.Secret{ObjectMeta: w.meta(token.Status.SecretRef.Name)}, &corev1.Secret{ObjectMeta: w.meta(ServerName + "-serving")}
	for _, s := range []*corev1.Secret{secret, serving} {
		if err := w.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return nil, err
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(serving.Data[caKey])
	network, keys := w.network(roots), devicesim.NewKeyPool(workers)
	fleet, err := devicesim.NewFleet(count, func(i int) devicesim.Options {
		return devicesim.Options{
			Hardware: devicesim.Mac(strings.ToUpper(team), i+1), Roots: roots, Client: network, Key: keys.Key, RetryInterval: interval,
		}
	})
	if err != nil {
		return nil, err
	}
	err = w.Wait(ctx, "the Macs to enrol", func(ctx context.Context) (bool, string, error) {
		return true, "", fleet.Enroll(ctx, workers, string(secret.Data["url"])) // kube-proxy learns a moment after us that the server is ready
	})
	return &Macs{fleet}, err
}

// Connect lets every Mac connect once.
func (m *Macs) Connect(ctx context.Context) error { return m.Idle(ctx, workers) }

// network is an HTTP client that finds Services by their names in the cluster.
func (w *Walk) network(roots *x509.CertPool) *http.Client {
	c := devicesim.NewClient(roots)
	c.Timeout = requestTimeout
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		name, inCluster := strings.CutSuffix(host, "."+w.Namespace+".svc.cluster.local")
		if !inCluster {
			return nil, fmt.Errorf("%s is not in the namespace %s", host, w.Namespace)
		}
		service := &corev1.Service{ObjectMeta: w.meta(name)}
		if err := w.Get(ctx, client.ObjectKeyFromObject(service), service); err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(service.Spec.ClusterIP, port))
	}
	return c
}
