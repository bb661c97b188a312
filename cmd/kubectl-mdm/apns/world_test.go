package apns_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/apns"
	"github.com/kubemdm/kubemdm/cmd/kubectl-mdm/internal/cli"
	"github.com/kubemdm/kubemdm/internal/pushcert"
)

const (
	namespace = "fleet"
	topic     = "com.apple.mgmt.External.11111111-2222-3333-4444-555555555555"
)

var now = time.Date(2026, time.July, 1, 12, 0, 0, 0, time.UTC)

// stamp is what the commands write into annotations at that time.
var stamp = now.Format(time.RFC3339Nano)

// world is a cluster with an operator that does what a test says.
type world struct {
	t           *testing.T
	client      client.WithWatch
	out, errOut bytes.Buffer
	in          string
	colour      bool
	dir         string
	// operator changes the status of push, in turn, after a command began to watch.
	operator []func(c *mdmv1alpha1.APNSCertificate)
	// onWatch takes the place of all that, if it is set.
	onWatch func() (watch.Interface, error)
	// fail is what reads and writes of the cluster return, if it is set.
	fail error
	// patches are what was written, by the name of the object.
	patches map[string]string
}

// newWorld has push, if it is not nil, and other objects.
func newWorld(t *testing.T, push *mdmv1alpha1.APNSCertificate, others ...client.Object) *world {
	w := &world{t: t, patches: map[string]string{}, dir: t.TempDir()}
	if push != nil {
		others = append(others, push)
	}
	w.client = fake.NewClientBuilder().WithScheme(cli.Scheme).WithStatusSubresource(&mdmv1alpha1.APNSCertificate{}, &mdmv1alpha1.MDMServer{}).
		WithObjects(others...).WithInterceptorFuncs(interceptor.Funcs{
		Watch: w.watch,
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if w.fail != nil {
				return w.fail
			}
			return c.Get(ctx, key, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			given := (&client.PatchOptions{}).ApplyOptions(opts)
			body, err := p.Data(o)
			if given.FieldManager != cli.FieldManager || err != nil {
				t.Errorf("a patch of the field manager %q: %v", given.FieldManager, err)
			}
			w.patches[o.GetName()] = string(body)
			return c.Patch(ctx, o, p, opts...)
		},
	}).Build()
	return w
}

// watch lets the operator work as soon as somebody watches.
func (w *world) watch(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
	if w.onWatch != nil {
		return w.onWatch()
	}
	events, err := c.Watch(ctx, list, opts...)
	if err != nil {
		return nil, err
	}
	for _, change := range w.operator {
		push := w.push()
		push.Status.LastHandledRequest = push.Annotations[mdmv1alpha1.AnnotationRequestedAt]
		push.Status.ObservedGeneration = push.Generation
		change(push)
		if err := w.client.Status().Update(ctx, push); err != nil {
			w.t.Error(err)
		}
	}
	return events, nil
}

func (w *world) push() *mdmv1alpha1.APNSCertificate {
	w.t.Helper()
	c := &mdmv1alpha1.APNSCertificate{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: namespace, Name: "push"}, c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// run runs kubectl mdm apns with arguments.
func (w *world) run(args ...string) error { return w.runUntil(w.t.Context(), args...) }

func (w *world) runUntil(ctx context.Context, args ...string) error {
	w.t.Helper()
	w.out.Reset()
	w.errOut.Reset()
	flags := genericclioptions.NewConfigFlags(false)
	space, none := namespace, os.DevNull
	flags.Namespace, flags.KubeConfig = &space, &none
	c := apns.Command(&cli.Env{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(w.in), Out: &w.out, ErrOut: &w.errOut},
		Flags:     flags, Clock: clocktesting.NewFakePassiveClock(now), Colour: w.colour,
		Connect: func() (client.WithWatch, error) { return w.client, nil },
	})
	c.SilenceUsage, c.SilenceErrors = true, true
	c.SetOut(&w.out)
	c.SetErr(&w.errOut)
	c.SetArgs(args)
	return c.ExecuteContext(ctx)
}

// file puts a file into the test's folder and returns its path.
func (w *world) file(name string, content []byte) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// wantError checks that an error tells all of texts; none: that there is no error.
func (w *world) wantError(err error, texts ...string) {
	w.t.Helper()
	if len(texts) == 0 && err != nil {
		w.t.Fatalf("%v\n%s", err, &w.errOut)
	}
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			w.t.Errorf("the error %q does not tell %q", err, text)
		}
	}
}

func (w *world) wantOutput(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if !strings.Contains(w.out.String(), text) {
			w.t.Errorf("the output does not tell %q:\n%s", text, &w.out)
		}
	}
}

// push is an APNSCertificate that the operator has just seen.
func push(changes ...func(*mdmv1alpha1.APNSCertificate)) *mdmv1alpha1.APNSCertificate {
	c := &mdmv1alpha1.APNSCertificate{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "push", Generation: 1, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour)),
	}}
	c.Status.ObservedGeneration = 1
	for _, change := range changes {
		change(c)
	}
	return c
}

// condition sets one as the operator would.
func condition(name string, status metav1.ConditionStatus, reason, message string) func(*mdmv1alpha1.APNSCertificate) {
	return func(c *mdmv1alpha1.APNSCertificate) {
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
			Type: name, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(now.Add(-30 * time.Minute)),
		})
	}
}

// all makes one change of several.
func all(changes ...func(*mdmv1alpha1.APNSCertificate)) func(*mdmv1alpha1.APNSCertificate) {
	return func(c *mdmv1alpha1.APNSCertificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

// rsaKey is the key of the request that waits.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

var csr = sync.OnceValue(func() string {
	request, err := pushcert.NewCSR(rsaKey(), pushcert.Subject{})
	if err != nil {
		panic(err)
	}
	return string(request)
})

// issued is a certificate as Apple issues it, in PEM with the line ends of a download.
func issued(t *testing.T, key crypto.PublicKey, topic string, end time.Time) *x509.Certificate {
	t.Helper()
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "Apple Application Integration 2 Certification Authority", Organization: []string{"Apple Inc."}}}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(0x4711), NotBefore: end.AddDate(-1, 0, 0), NotAfter: end,
		Subject:     pkix.Name{CommonName: "APSP:1", ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: topic}}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, issuer, key, ca)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func download(c *x509.Certificate) []byte {
	return bytes.ReplaceAll(pemOf(c), []byte("\n"), []byte("\r\n"))
}

// inUse is the status with a certificate in use.
func inUse(leaf *x509.Certificate) func(*mdmv1alpha1.APNSCertificate) {
	return func(c *mdmv1alpha1.APNSCertificate) {
		sum := sha256.Sum256(leaf.Raw)
		begin, end := metav1.NewTime(leaf.NotBefore), metav1.NewTime(leaf.NotAfter)
		c.Status.Topic, c.Status.NotBefore, c.Status.NotAfter = pushcert.Topic(leaf), &begin, &end
		c.Status.Fingerprint = hex.EncodeToString(sum[:])
		c.Status.CertificateSigningRequest, c.Status.PushCertificateRequest = "", ""
		condition(mdmv1alpha1.APNSCertificateCSRReady, metav1.ConditionTrue, mdmv1alpha1.APNSCertificateNotNeeded, "no request waits")(c)
		condition(mdmv1alpha1.APNSCertificateIssued, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, "issued")(c)
	}
}
