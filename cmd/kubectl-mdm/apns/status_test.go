package apns_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/test/golden"
)

const (
	fingerprint = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	former      = "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
)

// serving is a certificate in use. Times are those of the test's clock.
func serving(left time.Duration) func(*mdmv1alpha1.APNSCertificate) {
	return all(func(c *mdmv1alpha1.APNSCertificate) {
		begin, end := metav1.NewTime(now.Add(left).AddDate(-1, 0, 0)), metav1.NewTime(now.Add(left))
		status := &c.Status
		status.Topic, status.NotBefore, status.NotAfter, status.Fingerprint = topic, &begin, &end, fingerprint
		status.SerialNumber, status.Issuer, status.AppleAccount = "4711", "Apple Application Integration 2 Certification Authority", "mdm@example.com"
		status.SecretRef = &mdmv1alpha1.LocalReference{Name: "push-apns"}
	},
		condition(mdmv1alpha1.ConditionReady, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, ""),
		condition(mdmv1alpha1.APNSCertificateKeyReady, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, ""),
		condition(mdmv1alpha1.APNSCertificateCSRReady, metav1.ConditionTrue, mdmv1alpha1.APNSCertificateNotNeeded, "no request waits"),
		condition(mdmv1alpha1.APNSCertificateVendorSigned, metav1.ConditionTrue, mdmv1alpha1.APNSCertificateNotNeeded, "no request waits"),
		condition(mdmv1alpha1.APNSCertificateUploaded, metav1.ConditionTrue, mdmv1alpha1.APNSCertificateNotNeeded, "Apple has answered; no request waits"),
		condition(mdmv1alpha1.APNSCertificateIssued, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, `issued by "Apple", in use`),
		condition(mdmv1alpha1.APNSCertificateTopicUnchanged, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, "the topic is "+topic),
		condition(mdmv1alpha1.APNSCertificateNotExpiring, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, ""),
		condition(mdmv1alpha1.APNSCertificatePushAccepted, metav1.ConditionTrue, mdmv1alpha1.APNSCertificateAccepted, "Apple takes pushes"),
	)
}

// first waits for its first upload.
var first = all(
	condition(mdmv1alpha1.ConditionReady, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateAwaitingCertificate, "see status.nextStep"),
	condition(mdmv1alpha1.APNSCertificateKeyReady, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, ""),
	condition(mdmv1alpha1.APNSCertificateCSRReady, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, ""),
	condition(mdmv1alpha1.APNSCertificateVendorSigned, metav1.ConditionTrue, mdmv1alpha1.ReasonReady, `signed by "MDM Vendor: Example Ltd", whose certificate ends at 2030-01-01T00:00:00Z`),
	condition(mdmv1alpha1.APNSCertificateUploaded, metav1.ConditionUnknown, mdmv1alpha1.APNSCertificateAwaitingUpload, "nobody but Apple and the person who uploads status.pushCertificateRequest can tell; the certificate in spec.certificate ends the wait"),
	condition(mdmv1alpha1.APNSCertificateIssued, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateAwaitingCertificate, "the certificate from Apple is awaited in spec.certificate; see status.nextStep"),
	condition(mdmv1alpha1.APNSCertificateTopicUnchanged, metav1.ConditionUnknown, mdmv1alpha1.ReasonPending, "there was no certificate yet"),
	condition(mdmv1alpha1.APNSCertificateNotExpiring, metav1.ConditionUnknown, mdmv1alpha1.ReasonPending, "there was no certificate yet"),
	condition(mdmv1alpha1.APNSCertificatePushAccepted, metav1.ConditionUnknown, mdmv1alpha1.APNSCertificateNotUsed, "no server uses the certificate; name it in spec.apple.apnsCertificateRef of an MDMServer"),
	func(c *mdmv1alpha1.APNSCertificate) {
		c.Status.NextStep = "Upload the request (kubectl mdm apns request push writes the file) at https://identity.apple.com/pushcert with the Apple Account mdm@example.com, choose \"Create a Certificate\", and hand over the PEM file that it returns: kubectl mdm apns import push FILE."
	},
)

// wrong has another certificate than the one that waits, renewed late. Its message tries to move the cursor.
var wrong = all(serving(20*24*time.Hour+time.Hour),
	condition(mdmv1alpha1.ConditionReady, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateTopicChanged, "another topic"),
	condition(mdmv1alpha1.ConditionStalled, metav1.ConditionTrue, mdmv1alpha1.APNSCertificateTopicChanged, "another topic"),
	condition(mdmv1alpha1.APNSCertificateVendorSigned, metav1.ConditionUnknown, mdmv1alpha1.ReasonError, "the API server does not answer"),
	condition(mdmv1alpha1.APNSCertificateIssued, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateTopicChanged, "enrolled devices know another topic\x1b[2J; the certificate before it stays in use"),
	condition(mdmv1alpha1.APNSCertificateTopicUnchanged, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateTopicChanged, "another topic"),
	condition(mdmv1alpha1.APNSCertificateNotExpiring, metav1.ConditionFalse, mdmv1alpha1.APNSCertificateExpiring, "less than 30 days are left: renew it"),
	condition(mdmv1alpha1.APNSCertificatePushAccepted, metav1.ConditionFalse, mdmv1alpha1.APNSCertificatePushRefused, "Apple refuses pushes of the server berlin"),
	func(c *mdmv1alpha1.APNSCertificate) { c.Status.NextStep = "Correct what was given." },
)

func fleetOf(t *testing.T) []client.Object {
	t.Helper()
	other := server("another-certificate", fingerprint, metav1.Condition{Status: metav1.ConditionTrue, Reason: mdmv1alpha1.ReasonReady})
	other.Spec.Apple.APNSCertificateRef.Name = "other"
	return []client.Object{
		server("paris", former, metav1.Condition{Status: metav1.ConditionTrue, Reason: mdmv1alpha1.ReasonReady, Message: "of before"}),
		server("berlin", fingerprint, metav1.Condition{Status: metav1.ConditionTrue, Reason: mdmv1alpha1.ReasonReady}),
		server("rome", fingerprint, metav1.Condition{Status: metav1.ConditionFalse, Reason: mdmv1alpha1.MDMServerRollingOut, Message: "the server has not loaded the push certificate yet"}),
		server("wien", fingerprint, metav1.Condition{Status: metav1.ConditionFalse, Reason: mdmv1alpha1.MDMServerPushPaused, Message: "pushing pauses (BadCertificate): revoked"}),
		other,
	}
}

func TestTimeline(t *testing.T) {
	unseen := func(c *mdmv1alpha1.APNSCertificate) { c.Status.ObservedGeneration = 0 }
	paused := func(c *mdmv1alpha1.APNSCertificate) {
		c.Annotations = map[string]string{mdmv1alpha1.AnnotationPaused: "true"}
	}
	for _, tc := range []struct {
		name   string
		push   *mdmv1alpha1.APNSCertificate
		others []client.Object
		args   []string
		colour bool
	}{
		{name: "unseen", push: push(unseen)},
		{name: "first", push: push(first)},
		{name: "serving", push: push(serving(300 * 24 * time.Hour)), others: fleetOf(t)},
		{name: "wide", push: push(serving(300 * 24 * time.Hour)), others: fleetOf(t)[1:2], args: []string{"-o", "wide"}},
		{name: "wrong", push: push(wrong)},
		{name: "colour", push: push(wrong), others: fleetOf(t)[1:2], colour: true},
		{name: "paused", push: push(serving(-2*time.Hour), paused)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, tc.push, tc.others...)
			w.colour = tc.colour
			w.wantError(w.run(append([]string{"status", "push"}, tc.args...)...))
			golden.Check(t, "testdata/timeline-"+tc.name+".txt", w.out.Bytes())
		})
	}
}

// Who may not list servers sees all else.
func TestTimelineWithoutServers(t *testing.T) {
	w := newWorld(t, push(first))
	w.client = interceptor.NewClient(w.client, interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
		return apierrors.NewForbidden(schema.GroupResource{}, "", errors.New("no"))
	}})
	w.wantError(w.run("status", "push"))
	w.wantOutput("not known: you lack the right to list mdmservers.mdm.kubemdm.io", "Upload the request")
}

func TestTable(t *testing.T) {
	elsewhere, ended := push(serving(-50*time.Hour)), push(wrong)
	elsewhere.Namespace, ended.Name = "branch", "ended"
	fresh := push()
	fresh.Name = "fresh"
	others := append(fleetOf(t), elsewhere, ended, fresh)
	for name, args := range map[string][]string{"table": nil, "table-all": {"-A"}, "table-wide": {"--all-namespaces", "-o", "wide"}, "names": {"-o", "name"}} {
		w := newWorld(t, push(first), others...)
		w.wantError(w.run(append([]string{"status"}, args...)...))
		golden.Check(t, "testdata/"+name+".txt", w.out.Bytes())
	}
}

func TestDaysLeft(t *testing.T) {
	for left, want := range map[time.Duration]string{
		48 * time.Hour: "2 days left", 47 * time.Hour: "1 day left", time.Hour: "less than a day left", 0: "ended less than a day ago",
		-23 * time.Hour: "ended less than a day ago", -25 * time.Hour: "ended a day ago", -49 * time.Hour: "ended 2 days ago",
	} {
		w := newWorld(t, push(serving(left)))
		w.wantError(w.run("status"))
		w.wantOutput(", " + want + "   ")
	}
}

func TestStatusOfNothing(t *testing.T) {
	w := newWorld(t, nil)
	w.wantError(w.run("status"))
	w.wantError(w.run("status", "push"), "there is no APNSCertificate push in the namespace fleet")
	w.wantError(w.run("status", "push", "-A"), "-A lists all certificates")
	w.wantError(w.run("status", "-o", "xml"), "xml", "allowed formats")
}

// Programs read whole objects, with their kind.
func TestStatusForPrograms(t *testing.T) {
	w := newWorld(t, push(first))
	w.wantError(w.run("status", "push", "-o", "json"))
	var one mdmv1alpha1.APNSCertificate
	if err := json.Unmarshal(w.out.Bytes(), &one); err != nil || one.Kind != "APNSCertificate" || one.Status.NextStep == "" {
		t.Errorf("%v: %s", err, &w.out)
	}
	w.wantError(w.run("status", "-o", "json"))
	var list mdmv1alpha1.APNSCertificateList
	if err := json.Unmarshal(w.out.Bytes(), &list); err != nil || len(list.Items) != 1 || list.Items[0].Kind != "APNSCertificate" {
		t.Errorf("%v: %s", err, &w.out)
	}
	w.wantError(w.run("status", "push", "-o", "yaml"))
	w.wantOutput("kind: APNSCertificate\n", "apiVersion: mdm.kubemdm.io/v1alpha1\n")
}
