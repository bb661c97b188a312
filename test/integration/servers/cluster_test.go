package servers_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/test/pki"
)

// issue is cert-manager: it fills the Secret of every Certificate that has none.
func (b *bench) issue() {
	b.Helper()
	certificates := &cmapi.CertificateList{}
	b.must(api.List(b.Context(), certificates, client.InNamespace(b.ns)))
	for pass := 0; pass < 2; pass++ { // first the CAs
		for _, c := range certificates.Items {
			if (pass == 0) != c.Spec.IsCA || b.exists(c.Spec.SecretName, &corev1.Secret{}) {
				continue
			}
			data := map[string][]byte{}
			if c.Spec.IsCA {
				ca := pki.NewCA(b, c.Spec.CommonName)
				if c.Spec.PrivateKey.Algorithm == cmapi.RSAKeyAlgorithm {
					ca = pki.NewIdentityCA(b, c.Spec.CommonName)
				}
				b.cas[c.Spec.SecretName] = ca
				data["tls.crt"], data["tls.key"], data["ca.crt"] = ca.CertPEM(), ca.KeyPEM(b), ca.CertPEM()
			} else {
				data = pairData(b, b.cas[c.Spec.IssuerRef.Name], pki.Leaf{CN: c.Spec.CommonName, Names: c.Spec.DNSNames})
			}
			b.secret(c.Spec.SecretName, data)
		}
	}
}

// available is the StatefulSet controller: all pods are there.
func (b *bench) available() {
	b.Helper()
	set := &appsv1.StatefulSet{}
	b.get(serverName, set)
	n := *set.Spec.Replicas
	set.Status = appsv1.StatefulSetStatus{ObservedGeneration: set.Generation, Replicas: n, ReadyReplicas: n, AvailableReplicas: n, UpdatedReplicas: n}
	b.must(api.Status().Update(b.Context(), set))
}

// realServer is the server of the bench's pod: the real one, on the files that the pod would mount.
type realServer struct {
	bench *bench
	dir   string
	stop  func()

	mu      sync.Mutex
	address string
}

var errStopped = errors.New("no server runs")

func (r *realServer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	r.mu.Lock()
	address := r.address
	r.mu.Unlock()
	if address == "" {
		return nil, errStopped
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// mount is kubelet: it brings the volumes of the StatefulSet's pods to a folder, as they are now.
func (r *realServer) mount() *serverconfig.Config {
	b := r.bench
	b.Helper()
	if r.dir == "" {
		r.dir = b.TempDir()
	}
	set := &appsv1.StatefulSet{}
	b.get(serverName, set)
	pod := set.Spec.Template.Spec
	paths := map[string]string{}
	for _, m := range pod.Containers[0].VolumeMounts {
		paths[m.Name] = filepath.Join(r.dir, m.MountPath)
		b.must(os.MkdirAll(paths[m.Name], 0o700))
	}
	for _, v := range pod.Volumes {
		for file, content := range r.files(v) {
			b.must(os.WriteFile(filepath.Join(paths[v.Name], file), content, 0o600))
		}
	}
	raw, err := os.ReadFile(filepath.Join(r.dir, strings.TrimPrefix(pod.Containers[0].Args[0], "--config=")))
	b.must(err)
	for _, root := range []string{"/etc/kubemdm", "/var/lib/kubemdm"} {
		raw = bytes.ReplaceAll(raw, []byte(`"`+root), []byte(`"`+r.dir+root))
	}
	config, err := serverconfig.Parse(raw)
	b.must(err)
	config.Listen = serverconfig.Listen{Devices: "127.0.0.1:0", Admin: "127.0.0.1:0", Health: "127.0.0.1:0"}
	return config
}

func (r *realServer) files(v corev1.Volume) map[string][]byte {
	b := r.bench
	b.Helper()
	if v.ConfigMap != nil {
		m := &corev1.ConfigMap{}
		b.get(v.ConfigMap.Name, m)
		files := map[string][]byte{}
		for name, text := range m.Data {
			files[name] = []byte(text)
		}
		return files
	}
	secret := &corev1.Secret{}
	if !b.exists(v.Secret.SecretName, secret) && (v.Secret.Optional == nil || !*v.Secret.Optional) {
		b.Fatalf("the pod cannot start: there is no Secret %s", v.Secret.SecretName)
	}
	return secret.Data
}

// start runs the server until the test or stop ends it.
func (r *realServer) start() {
	b := r.bench
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := mdmserver.Start(ctx, *r.mount(), slog.New(slog.NewTextHandler(b.Output(), nil)), "v1-test")
	if err != nil {
		cancel()
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	r.at(s.Addresses().Admin.String())
	r.stop = sync.OnceFunc(func() {
		r.at("")
		cancel()
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(r.stop)
}

func (r *realServer) at(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.address = address
}

// until reconciles the server until the condition holds, which the real server decides.
func (b *bench) until(what string, holds func() bool) {
	b.Helper()
	err := wait.PollUntilContextTimeout(b.Context(), 200*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		b.reconcileServer()
		return holds(), nil
	})
	if err != nil {
		b.Fatalf("waiting until %s: %v\n%s", what, err, show(b.mdmServer().Status.Conditions))
	}
}
