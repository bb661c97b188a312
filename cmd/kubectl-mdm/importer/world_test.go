package importer_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	livev1alpha1 "github.com/kubemdm/kubemdm/api/live/v1alpha1"
	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/importer"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/internal/liveimport"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/test/apnsfake"
	"github.com/kubemdm/kubemdm/test/devicesim"
	"github.com/kubemdm/kubemdm/test/nanomdm"
	"github.com/kubemdm/kubemdm/test/serverfiles"
)

const (
	namespace  = "fleet"
	importName = "nanomdm"
)

// world is NanoMDM with its fleet, and our server on the same name, which leads to NanoMDM until the test says otherwise.
type world struct {
	*testing.T
	*serverfiles.Files
	old    *nanomdm.Server
	names  *dns
	pushes *devicesim.Pushes
	admin  *adminapi.Client
	addrs  mdmserver.Addresses
	stop   func() error
	// profile is the file of the old enrolment profile.
	profile string
	// batches counts what the command handed over, fail is what the live view answers if it is set.
	batches int
	fail    error
}

func newWorld(t *testing.T, checkIn bool) *world {
	t.Helper()
	w := &world{T: t, Files: serverfiles.Write(t), names: &dns{}, pushes: devicesim.NewPushes()}
	w.old = nanomdm.Start(t, w.Files, checkIn)
	w.names.point(w.old.Address())
	w.profile = filepath.Join(w.Dir, "enroll.mobileconfig")
	must(t, os.WriteFile(w.profile, w.old.Profile(true), 0o600))

	apns, address := apnsfake.Start(t, w.PushCA)
	apns.OnPush(w.pushes.Push)
	w.Put(t, "apns-ca.crt", w.PushCA.CertPEM())
	w.Config.Apple.Push.URL, w.Config.Apple.Push.CAFile = address, filepath.Join(w.Dir, "apns-ca.crt")
	w.Put(t, "import/ca.crt", w.old.CA.CertPEM())
	checkInPath := "/mdm"
	if checkIn {
		checkInPath = "/checkin"
	}
	w.Config.Apple.Imports = []serverconfig.Import{{
		Name: importName, ServerPath: "/mdm", CheckInPath: checkInPath, CAFile: filepath.Join(w.Dir, "import", "ca.crt"),
	}}
	w.start()
	return w
}

// start runs our server.
func (w *world) start() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := mdmserver.Start(ctx, w.Config, slog.New(slog.NewTextHandler(w.Output(), nil)), "test")
	if err != nil {
		cancel()
		w.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	w.stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	w.Cleanup(func() { must(w, w.stop()) })
	w.addrs = s.Addresses()
	w.admin = w.Manager(w, w.addrs.Admin.String())
	_, err = w.admin.Info(w.Context())
	must(w, err)
}

// switchOver points the public name to our server.
func (w *world) switchOver() { w.names.point(w.addrs.Devices.String()) }

// later moves the store of the stopped server on, as if this much time had passed since the certificates were replaced.
func (w *world) later(d time.Duration) {
	w.Helper()
	must(w, w.stop())
	db, err := sql.Open("sqlite", w.Config.Store.SQLite.Path)
	must(w, err)
	changed, err := db.ExecContext(w.Context(), "UPDATE identities SET reject_after = reject_after - $1 WHERE reject_after > 0", d.Microseconds())
	must(w, err)
	if n, err := changed.RowsAffected(); err != nil || n != 1 {
		w.Fatalf("%d certificates are on their way out, %v", n, err)
	}
	must(w, db.Close())
	w.start()
	w.switchOver()
}

// enrol enrols a Mac into NanoMDM with a certificate that lasts so long.
func (w *world) enrol(index int, life time.Duration) *devicesim.Device {
	w.Helper()
	d, err := devicesim.New(devicesim.Options{
		Hardware: devicesim.Mac("NANO", index), Client: w.names.client(w.T, w.Files), Roots: w.WebCA.Pool(), Key: w.old.Keys.Key, Waker: w.pushes,
	})
	must(w, err)
	p, err := devicesim.ParseProfile(w.old.Profile(true), nil)
	must(w, err)
	profile, err := devicesim.ParseEnrollment(p)
	must(w, err)
	must(w, d.InstallEnrollmentAs(w.Context(), profile, w.old.Identity(life)))
	return d
}

// cluster has the MDMServer and a live view that hands enrolments to our server.
func (w *world) cluster() client.WithWatch {
	server := &mdmv1alpha1.MDMServer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mdm"}}
	server.Spec.Host = serverfiles.Host
	server.Spec.Apple = &mdmv1alpha1.AppleServer{APNSCertificateRef: &mdmv1alpha1.LocalReference{Name: "push"}}
	for _, i := range w.Config.Apple.Imports {
		server.Spec.Apple.Imports = append(server.Spec.Apple.Imports, mdmv1alpha1.AppleImport{Name: i.Name, ServerPath: i.ServerPath, CheckInPath: i.CheckInPath})
	}
	push := &mdmv1alpha1.APNSCertificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "push"}}
	push.Status.Topic = serverfiles.Topic
	return fake.NewClientBuilder().WithScheme(cli.Scheme).WithObjects(server, push).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			in, ok := o.(*livev1alpha1.EnrollmentImport)
			if !ok || in.Namespace != namespace || in.Server != "mdm" {
				return fmt.Errorf("created %T in %q for %q", o, o.GetNamespace(), in.Server)
			}
			if w.fail != nil {
				return w.fail
			}
			w.batches++
			reply, err := w.admin.Import(ctx, liveimport.Batch(in))
			if err != nil {
				return err
			}
			in.Results, in.Enrollments = liveimport.Results(reply), nil
			return nil
		},
	}).Build()
}

// run runs "kubectl mdm import nanomdm" with more arguments, and returns what it printed.
func (w *world) run(args ...string) (string, error) {
	w.Helper()
	var out, errOut bytes.Buffer
	flags := genericclioptions.NewConfigFlags(false)
	ns, config := namespace, os.DevNull
	flags.Namespace, flags.KubeConfig = &ns, &config
	e := &cli.Env{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, Flags: flags, Clock: clock.RealClock{},
		Connect: func() (client.WithWatch, error) { return w.cluster(), nil },
	}
	c := importer.Command(e)
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(&out)
	c.SetErr(&errOut)
	c.SetArgs(append([]string{"nanomdm", "--server=mdm", "--import=" + importName, "--enrollment-profile=" + w.profile}, args...))
	err := c.ExecuteContext(w.Context())
	w.Logf("kubectl mdm import nanomdm %s\n%s%s%v", strings.Join(args, " "), out.String(), errOut.String(), err)
	return out.String() + errOut.String(), err
}

// wants checks that a run went well and printed all of these.
func (w *world) wants(out string, err error, words ...string) {
	w.Helper()
	must(w, err)
	for _, word := range words {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), word) {
			w.Errorf("the output lacks %q:\n%s", word, out)
		}
	}
}

// refuses checks that a run failed for a reason.
func (w *world) refuses(err error, reason string) {
	w.Helper()
	if err == nil || !strings.Contains(err.Error(), reason) {
		w.Errorf("the error is %v, want one with %q", err, reason)
	}
}

// devices are those that our server knows, by UDID.
func (w *world) devices() map[string]adminapi.Device {
	w.Helper()
	all, err := adminapi.All(w.Context(), w.admin.Devices)
	must(w, err)
	known := map[string]adminapi.Device{}
	for _, d := range all {
		known[d.ID] = d
	}
	return known
}

// status is the HTTP status that a device's call ended with, 200 if it went well.
func status(err error) int {
	var s *devicesim.StatusError
	switch {
	case err == nil:
		return 200
	case errors.As(err, &s):
		return s.Code
	}
	return 0
}

// dns leads the public name to one server or another.
type dns struct{ address atomic.Value }

func (d *dns) point(address string) { d.address.Store(address) }

// client is that of a device, which asks for the name with each connection.
func (d *dns) client(t testing.TB, files *serverfiles.Files) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: files.WebCA.Pool()}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, name string) (net.Conn, error) {
			if name != serverfiles.Host+":443" {
				return nil, fmt.Errorf("no such host: %s", name)
			}
			return new(net.Dialer).DialContext(ctx, network, d.address.Load().(string))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
