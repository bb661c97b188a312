package counts_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubemdm/kubemdm/controllers/setup"
)

// The environment of a manager process: the API server's kubeconfig file, the namespace that it manages, and the address of the server's internal API.
const (
	managerConfig    = "KUBEMDM_TEST_KUBECONFIG"
	managerNamespace = "KUBEMDM_TEST_NAMESPACE"
	managerAddress   = "KUBEMDM_TEST_SERVER"
)

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// newManager makes a manager with all controllers for one namespace. What it wrote of the servers that earlier tests left in others, which do not run,
// would be counted as this test's.
func newManager(ctx context.Context, config *rest.Config, namespace string, dial dialFunc) (ctrl.Manager, error) {
	return setup.New(ctx, config, setup.Options{
		Namespace: systemNamespace, Namespaces: []string{namespace}, ServerImage: "kubemdm/mdmserver:test", MetricsAddress: "0", HealthAddress: "0",
		Dial: dial, Metrics: prometheus.NewRegistry(),
		Adjust: func(o *ctrl.Options) {
			o.Controller.SkipNameValidation = ptr.To(true) // of the managers that ran before in this process
		},
	})
}

// manage runs a manager in this process until the test or stop ends it.
func (w *world) manage() (stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	mgr, err := newManager(ctx, config, w.ns, w.pod.DialAdmin)
	if err != nil {
		cancel()
		w.Fatal(err)
	}
	return w.until(cancel, func() error { return mgr.Start(ctx) })
}

// process is a manager that can be killed.
type process struct{ cmd *exec.Cmd }

// launch starts a manager as a process of its own: this test's binary, which then does nothing else.
func (w *world) launch() *process {
	w.Helper()
	file := filepath.Join(w.TempDir(), "kubeconfig")
	w.must(os.WriteFile(file, kubeconfig, 0o600))
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), managerConfig+"="+file, managerNamespace+"="+w.ns, managerAddress+"="+w.pod.AdminAddress())
	p.cmd.Stderr = os.Stderr
	_, err := p.cmd.StdinPipe() // open for as long as this process lives
	w.must(err)
	w.must(p.cmd.Start())
	w.Cleanup(p.kill)
	return p
}

// kill is SIGKILL: the manager gets no word in.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // "signal: killed"
	}
}

// beManager runs a manager until it is killed or its parent is gone.
func beManager() (code int) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv(managerConfig))
	if err == nil {
		var mgr ctrl.Manager
		mgr, err = newManager(ctx, config, os.Getenv(managerNamespace), func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, os.Getenv(managerAddress))
		})
		if err == nil {
			err = mgr.Start(ctx)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
