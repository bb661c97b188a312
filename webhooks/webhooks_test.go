package webhooks_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/webhooks"
)

const path = "/validate-mdm-kubemdm-io-v1alpha1-enrollmenttoken"

func handler(t *testing.T) http.Handler {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	// Nothing of the manager is started: only what SetupAll registers with its webhook server is used.
	mgr, err := ctrl.NewManager(&rest.Config{}, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := webhooks.SetupAll(mgr); err != nil {
		t.Fatal(err)
	}
	return mgr.GetWebhookServer().WebhookMux()
}

func token(labels map[string]string, finalizers ...string) *v1alpha1.EnrollmentToken {
	return &v1alpha1.EnrollmentToken{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "EnrollmentToken"},
		ObjectMeta: metav1.ObjectMeta{Name: "t", Namespace: "fleet", Finalizers: finalizers},
		Spec:       v1alpha1.EnrollmentTokenSpec{Labels: labels},
	}
}

func TestAdmission(t *testing.T) {
	mux := handler(t)
	good := map[string]string{"site": "bern"}
	reserved := map[string]string{v1alpha1.LabelServer: "mdm"}
	worse := map[string]string{v1alpha1.LabelServer: "mdm", v1alpha1.LabelDiscovered: "true"}

	for name, c := range map[string]struct {
		operation   admissionv1.Operation
		before, now *v1alpha1.EnrollmentToken
		refused     string // what the refusal says; "" is allowed
	}{
		"create valid":              {operation: admissionv1.Create, now: token(good)},
		"create invalid":            {operation: admissionv1.Create, now: token(reserved), refused: v1alpha1.LabelServer},
		"break":                     {operation: admissionv1.Update, before: token(good), now: token(reserved), refused: v1alpha1.LabelServer},
		"mend":                      {operation: admissionv1.Update, before: token(reserved), now: token(good)},
		"an old fault stays":        {operation: admissionv1.Update, before: token(reserved, v1alpha1.Finalizer), now: token(reserved)},
		"a second fault is one new": {operation: admissionv1.Update, before: token(reserved), now: token(worse), refused: v1alpha1.LabelDiscovered},
		"delete":                    {operation: admissionv1.Delete, before: token(reserved)},
	} {
		t.Run(name, func(t *testing.T) {
			answer := review(t, mux, &admissionv1.AdmissionRequest{
				UID: "1", Operation: c.operation, Object: raw(t, c.now), OldObject: raw(t, c.before),
			})
			if answer.Allowed != (c.refused == "") {
				t.Fatalf("allowed %v: %v", answer.Allowed, answer.Result)
			}
			if c.refused == "" {
				return
			}
			if says := answer.Result.Message; !strings.Contains(says, "spec.labels["+c.refused+"]") || strings.Count(says, "spec.labels[") != 1 {
				t.Errorf("says %q, want the field with %s alone", says, c.refused)
			}
		})
	}
}

func raw(t *testing.T, token *v1alpha1.EnrollmentToken) runtime.RawExtension {
	t.Helper()
	if token == nil {
		return runtime.RawExtension{}
	}
	b, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: b}
}

func review(t *testing.T, mux http.Handler, request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	t.Helper()
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: request,
	})
	if err != nil {
		t.Fatal(err)
	}
	post := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
	post.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	mux.ServeHTTP(recorder, post)
	var answer admissionv1.AdmissionReview
	if err := json.NewDecoder(recorder.Body).Decode(&answer); err != nil || answer.Response == nil {
		t.Fatalf("status %d, error %v", recorder.Code, err)
	}
	return answer.Response
}
