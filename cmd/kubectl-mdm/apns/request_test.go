package apns_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
)

const (
	upload = "PD94bWwgdmVyc2lvbj0iMS4wIj8+\n"
	next   = "Upload the request at https://identity.apple.com/pushcert."
)

// requested waits for its vendor's signature.
var requested = all(
	func(c *mdmv1alpha1.APNSCertificate) { c.Status.CertificateSigningRequest = csr() },
	condition(mdmv1alpha1.APNSCertificateKeyReady, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, ""),
	condition(mdmv1alpha1.APNSCertificateCSRReady, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, ""),
)

// signed can be uploaded.
var signed = all(requested, func(c *mdmv1alpha1.APNSCertificate) {
	c.Status.PushCertificateRequest, c.Status.NextStep = upload, next
}, condition(mdmv1alpha1.APNSCertificateVendorSigned, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, "signed"))

var awaitsVendor = all(requested, func(c *mdmv1alpha1.APNSCertificate) { c.Status.NextStep = "Give it to your MDM vendor." },
	condition(mdmv1alpha1.APNSCertificateVendorSigned, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateAwaitingVendor, "an MDM vendor has to sign it"))

func unavailable(c *mdmv1alpha1.APNSCertificate) {
	condition(mdmv1alpha1.APNSCertificateKeyReady, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateKeyUnavailable, "the KMS does not answer")(c)
}

func TestRequest(t *testing.T) {
	behind := func(c *mdmv1alpha1.APNSCertificate) {
		c.Generation, c.Status.PushCertificateRequest = 2, "of the spec before"
	}
	paused := func(c *mdmv1alpha1.APNSCertificate) {
		c.Annotations = map[string]string{mdmv1alpha1.AnnotationPaused: "true"}
		c.Generation = 2
	}
	brought := func(c *mdmv1alpha1.APNSCertificate) { c.Spec.SecretRef = &mdmv1alpha1.LocalReference{Name: "pair"} }
	notRequested := condition(mdmv1alpha1.APNSCertificateCSRReady, metav1.ConditionTrue, mdmv1alpha1.APNSCertificateNotRequested, "")
	stalled := all(
		condition(mdmv1alpha1.ConditionStalled, metav1.ConditionTrue, mdmv1alpha1.ReasonInvalid, "the spec contradicts itself"),
		condition(mdmv1alpha1.APNSCertificateKeyReady, metav1.ConditionUnknown, mdmv1alpha1.ReasonPending, "not observed yet"),
	)
	for _, tc := range []struct {
		name     string
		push     *mdmv1alpha1.APNSCertificate
		operator []func(*mdmv1alpha1.APNSCertificate)
		args     []string
		want     string   // what is written
		errs     []string // or what the error tells
		progress []string // what standard error tells meanwhile
	}{
		{name: "it is there", push: push(signed), want: upload},
		{name: "it comes", push: push(), operator: []func(*mdmv1alpha1.APNSCertificate){requested, signed}, want: upload},
		{name: "the status is of an older spec", push: push(signed, behind), operator: []func(*mdmv1alpha1.APNSCertificate){signed}, want: upload,
			progress: []string{"Waiting: the operator has not looked at push yet"}},
		{name: "the KMS comes back", push: push(unavailable), operator: []func(*mdmv1alpha1.APNSCertificate){signed}, want: upload,
			progress: []string{"Waiting: KeyReady (KeyUnavailable): the KMS does not answer"}},
		{name: "the bare request", push: push(awaitsVendor), args: []string{"--csr"}, want: csr()},
		{name: "the vendor has to sign", push: push(awaitsVendor), errs: []string{"an MDM vendor has to sign it", "AwaitingVendor", "Next step: Give it to your MDM vendor."}},
		{name: "the vendor comes to have to sign", push: push(), operator: []func(*mdmv1alpha1.APNSCertificate){awaitsVendor}, errs: []string{"an MDM vendor has to sign it"}},
		{name: "no request waits", push: push(inUse(issued(t, rsaKey().Public(), topic, now.AddDate(0, 0, 200)))), errs: []string{"no request waits", "200 days left", "--renew"}},
		{name: "somebody else renews", push: push(brought, notRequested), errs: []string{"the Secret pair", "set spec.vendor"}},
		{name: "renewing what somebody else renews", push: push(brought, notRequested), args: []string{"--renew"}, errs: []string{"the Secret pair", "set spec.vendor"}},
		{name: "paused", push: push(paused), errs: []string{"kubectl annotate apnscertificate push", "mdm.kubemdm.io/paused-"}},
		{name: "renewing what is paused", push: push(signed, paused), args: []string{"--renew"}, errs: []string{"mdm.kubemdm.io/paused-"}},
		{name: "stalled", push: push(stalled), errs: []string{"the spec contradicts itself"}},
		{name: "flags of --create alone", push: push(signed), args: []string{"--apple-account", "mdm@example.com"}, errs: []string{"goes with --create"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.push)
			w.operator = tc.operator
			file := filepath.Join(w.dir, "request")
			err := w.run(append([]string{"request", "push", "-f", file}, tc.args...)...)
			w.wantError(err, tc.errs...)
			if got, _ := os.ReadFile(file); string(got) != tc.want {
				t.Errorf("wrote %q, want %q", got, tc.want)
			}
			for _, text := range tc.progress {
				if !strings.Contains(w.errOut.String(), text) {
					t.Errorf("standard error does not tell %q:\n%s", text, &w.errOut)
				}
			}
			if len(w.patches) > 0 {
				t.Errorf("wrote %v", w.patches)
			}
		})
	}
}

// Standard output holds the file and nothing else.
func TestRequestToStandardOutput(t *testing.T) {
	w := newWorld(t, push(signed))
	w.wantError(w.run("request", "push", "--output", "-"))
	if w.out.String() != upload || w.errOut.String() != "Next step: "+next+"\n" {
		t.Errorf("output %q, error %q", &w.out, &w.errOut)
	}
}

func TestRequestNamesItsFile(t *testing.T) {
	for flag, want := range map[string]string{"--csr=false": "PushCertificateRequest-push.plist.b64", "--csr": "CertificateSigningRequest-push.pem"} {
		t.Chdir(t.TempDir())
		w := newWorld(t, push(signed))
		w.wantError(w.run("request", flag)) // the only one there is
		w.wantOutput("Wrote "+want+"\n", "Next step: "+next)
		if _, err := os.Stat(want); err != nil {
			t.Error(err)
		}
	}
}

func TestRequestWithoutName(t *testing.T) {
	w := newWorld(t, nil)
	w.wantError(w.run("request"), "there is no APNSCertificate in the namespace fleet", "--create")
	w.wantError(w.run("request", "push"), "there is no APNSCertificate push in the namespace fleet", "--create")
	w.wantError(w.run("request", "--create"), "--create needs a name")
	other := push()
	other.Name = "other"
	w = newWorld(t, push(), other)
	w.wantError(w.run("request"), "name one: other, push")
}

func TestRequestCreates(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want mdmv1alpha1.APNSCertificateSpec
	}{
		{[]string{"--vendor-secret=vendor", "--apple-account=mdm@example.com"}, mdmv1alpha1.APNSCertificateSpec{
			AppleAccount: "mdm@example.com", Vendor: &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorSecret, Secret: &mdmv1alpha1.LocalReference{Name: "vendor"}},
		}},
		{[]string{"--mdmcert-email=me@example.com", "--mdmcert-api-key-secret=api"}, mdmv1alpha1.APNSCertificateSpec{
			Vendor: &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorMDMCert, MDMCert: &mdmv1alpha1.MDMCertVendor{
				Email: "me@example.com", APIKeySecretRef: mdmv1alpha1.KeyReference{Name: "api", Key: "api-key"},
			}},
		}},
		{nil, mdmv1alpha1.APNSCertificateSpec{Vendor: &mdmv1alpha1.PushVendor{Type: mdmv1alpha1.PushVendorManual}}},
	} {
		w := newWorld(t, nil)
		w.operator = []func(*mdmv1alpha1.APNSCertificate){signed}
		w.wantError(w.run(append([]string{"request", "push", "--create", "-f", "-"}, tc.args...)...))
		if got := w.push().Spec; !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%v: made %+v", tc.args, got)
		}
		if w.out.String() != upload {
			t.Errorf("%v: %q", tc.args, &w.out)
		}
	}
}

func TestRequestLeavesWhatIsThere(t *testing.T) {
	w := newWorld(t, push(signed))
	w.wantError(w.run("request", "push", "--create", "--vendor-secret=vendor", "-f", "-"))
	if w.push().Spec.Vendor != nil || !strings.Contains(w.errOut.String(), "push is there already and is left as it is") {
		t.Errorf("%+v\n%s", w.push().Spec, &w.errOut)
	}
}

// The request of before is in the status until the operator has made the new one, and must not be taken for it.
func TestRequestRenews(t *testing.T) {
	w := newWorld(t, push(signed, func(c *mdmv1alpha1.APNSCertificate) { c.Status.PushCertificateRequest = "before" }))
	renewed := func(c *mdmv1alpha1.APNSCertificate) {
		c.Status.LastHandledRenew = c.Annotations[mdmv1alpha1.AnnotationRenew]
		signed(c)
	}
	w.operator = []func(*mdmv1alpha1.APNSCertificate){unavailable, renewed}
	w.wantError(w.run("request", "push", "--renew", "-f", "-"))
	if w.out.String() != upload {
		t.Errorf("wrote %q", &w.out)
	}
	if got := w.patches["push"]; got != `{"metadata":{"annotations":{"mdm.kubemdm.io/renew":"`+stamp+`","mdm.kubemdm.io/requested-at":"`+stamp+`"}}}` {
		t.Errorf("patched %s", got)
	}
}

func TestWaitsEnd(t *testing.T) {
	t.Run("by the timeout", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, push(unavailable))
			w.wantError(w.run("request", "push", "-f", "-"), "not done after 2m0s", "the KMS does not answer", "--timeout")
		})
	})
	t.Run("by Ctrl-C", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWorld(t, push(unavailable))
		w.operator = []func(*mdmv1alpha1.APNSCertificate){func(*mdmv1alpha1.APNSCertificate) { cancel() }}
		w.wantError(w.runUntil(ctx, "request", "push", "-f", "-"), "interrupted", "the KMS does not answer")
	})
	t.Run("when the object goes", func(t *testing.T) {
		w := newWorld(t, push(unavailable))
		w.onWatch = func() (watch.Interface, error) {
			events := watch.NewFakeWithChanSize(1, false)
			events.Delete(push())
			return events, nil
		}
		w.wantError(w.run("request", "push", "-f", "-"), "push was deleted meanwhile")
	})
}

// API servers end watches, and refuse those that begin with a state that is too old.
func TestWaitsGoOnWhenAWatchEnds(t *testing.T) {
	for name, end := range map[string]func(*watch.FakeWatcher){
		"closed": (*watch.FakeWatcher).Stop,
		"gone":   func(f *watch.FakeWatcher) { f.Error(&apierrors.NewResourceExpired("too old").ErrStatus) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, push(unavailable))
				w.onWatch = func() (watch.Interface, error) {
					events := watch.NewFakeWithChanSize(1, false)
					end(events)
					w.onWatch, w.operator = nil, []func(*mdmv1alpha1.APNSCertificate){signed}
					return events, nil
				}
				w.wantError(w.run("request", "push", "-f", "-"))
				if w.out.String() != upload {
					t.Errorf("wrote %q", &w.out)
				}
			})
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	resource := schema.GroupResource{Group: "mdm.kubemdm.io", Resource: "apnscertificates"}
	for _, tc := range []struct {
		err  error
		want []string
	}{
		{&meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: resource.Group, Kind: "APNSCertificate"}}, []string{"KubeMDM is not installed in this cluster, or the context is the wrong one"}},
		{apierrors.NewGenericServerResponse(404, "get", resource, "", "the server could not find the requested resource", 0, true), []string{"KubeMDM is not installed"}},
		{apierrors.NewForbidden(resource, "push", errors.New(`User "jane" cannot get resource "apnscertificates"`)), []string{"--help lists the rights", `"jane" cannot get resource "apnscertificates"`}},
		{apierrors.NewUnauthorized("no"), []string{"sign in again"}},
	} {
		w := newWorld(t, push())
		w.fail = tc.err
		w.wantError(w.run("request", "push"), tc.want...)
	}
}
