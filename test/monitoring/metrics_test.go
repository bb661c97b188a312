package monitoring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission/metrics"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/component-base/metrics/legacyregistry"
	aggregator "k8s.io/kube-aggregator/pkg/controllers/status/metrics"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	crmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/setup"
	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
	servermetrics "github.com/kubemdm/kubemdm/mdmserver/metrics"
	"github.com/kubemdm/kubemdm/test/golden"
)

// TestMetricsAreListed keeps the list of metrics that alerts and dashboards may name: those that a manager and a server give, and two of the API server that
// tell of what it asks the manager for.
func TestMetricsAreListed(t *testing.T) {
	list := map[string]bool{}
	add := func(from string, families []*dto.MetricFamily, wanted ...string) {
		for _, family := range families {
			if belongs(family.GetName(), wanted) {
				list[fmt.Sprintf("%s %s{%s} %s", from, family.GetName(), labels(family), strings.ToLower(family.GetType().String()))] = true
			}
		}
	}
	add("manager", gathered(t, objects(t)), "kubemdm_")
	runManager(t)
	add("manager", gathered(t, crmetrics.Registry), "controller_runtime_", "leader_election_", "workqueue_")
	add("server", ofServer(t), "kubemdm_server_")
	add("apiserver", ofAPIServer(t), "apiserver_admission_webhook_fail_open_count", "aggregator_unavailable_apiservice")
	golden.Check(t, "testdata/metrics.txt", []byte(strings.Join(slices.Sorted(maps.Keys(list)), "\n")+"\n"))
}

func belongs(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// labels are the names of the labels of all series of a family.
func labels(family *dto.MetricFamily) string {
	names := map[string]bool{}
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			names[l.GetName()] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ",")
}

func gathered(t *testing.T, g prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	families, err := g.Gather()
	must(t, err)
	return families
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// secret is in every identity of a device below, so that a label that tells of one is seen.
const secret = "C02XSECRET"

// objects is a registry with the collector of the manager, over one object of each kind whose status is full.
func objects(t *testing.T) prometheus.Gatherer {
	t.Helper()
	now := metav1.Now()
	five := int32(5)
	object := metav1.ObjectMeta{Namespace: "fleet", Name: "mdm"}
	common := mdmv1alpha1.CommonStatus{Conditions: []metav1.Condition{{Type: mdmv1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: mdmv1alpha1.ReasonReady}}}
	year := metav1.Duration{Duration: 365 * 24 * time.Hour}
	all := []client.Object{
		&mdmv1alpha1.MDMServer{
			ObjectMeta: object,
			Spec:       mdmv1alpha1.MDMServerSpec{Apple: &mdmv1alpha1.AppleServer{Identity: mdmv1alpha1.AppleIdentity{DeviceIdentity: mdmv1alpha1.DeviceIdentity{Validity: year}, RenewBefore: year}}},
			Status: mdmv1alpha1.MDMServerStatus{CommonStatus: common, Enrolled: &five, Behind: &five, Responding: &five, Certificates: []mdmv1alpha1.ServerCertificate{
				{Name: "Serving", NotAfter: &now}, {Name: "IdentityCA-1", Role: mdmv1alpha1.CARoleActive, NotAfter: &now},
			}},
		},
		&mdmv1alpha1.APNSCertificate{ObjectMeta: object, Status: mdmv1alpha1.APNSCertificateStatus{CommonStatus: common, NotAfter: &now, RequestedAt: &now}},
		&mdmv1alpha1.AutomatedEnrollment{ObjectMeta: object, Status: mdmv1alpha1.AutomatedEnrollmentStatus{
			CommonStatus: common, TokenNotAfter: &now, Devices: &mdmv1alpha1.AutomatedDevices{Listed: &five, Assigned: &five, Unselected: &five, Refused: &five},
		}},
		&mdmv1alpha1.Profile{ObjectMeta: object, Status: mdmv1alpha1.ProfileStatus{
			CommonStatus: common, Targeted: &five, Installed: &five, Pending: &five, NotNow: &five, Failed: &five, Removing: &five,
			HeldRemoval: &mdmv1alpha1.HeldRemoval{Devices: 5, Token: secret}, Failing: []mdmv1alpha1.FailingDevice{{Device: secret}},
		}},
		&mdmv1alpha1.Device{
			ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: strings.ToLower(secret)},
			Spec:       mdmv1alpha1.DeviceSpec{SerialNumber: secret}, Status: mdmv1alpha1.DeviceStatus{CommonStatus: common},
		},
	}
	registry := prometheus.NewPedanticRegistry()
	reader := fakeclient.NewClientBuilder().WithScheme(setup.Scheme()).WithObjects(all...).Build()
	must(t, registry.Register(setup.Collector(reader, clock.RealClock{})))
	return registry
}

// No series tells of a device by what it is known by.
func TestNoSeriesNamesADevice(t *testing.T) {
	for _, family := range gathered(t, objects(t)) {
		for _, m := range family.GetMetric() {
			if strings.Contains(strings.ToUpper(m.String()), secret) {
				t.Errorf("%s: %s", family.GetName(), m)
			}
		}
	}
}

// runManager runs what a manager runs and needs no API server for: the election of a leader, and a controller that meets an error.
func runManager(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	leads := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: "kubemdm-manager", LeaseDuration: time.Minute, RenewDeadline: 30 * time.Second, RetryPeriod: time.Second,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: "kubemdm-system", Name: "kubemdm-manager"}, Client: fake.NewClientset().CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: "one"},
		},
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { close(leads) }, OnStoppedLeading: func() {}},
	})
	must(t, err)
	go elector.Run(ctx)
	<-leads

	met := make(chan struct{}, 100)
	c, err := controller.NewUnmanaged("profile", controller.Options{
		LogConstructor: func(*reconcile.Request) logr.Logger { return logr.Discard() },
		Reconciler: reconcile.Func(func(context.Context, reconcile.Request) (ctrl.Result, error) {
			met <- struct{}{}
			return ctrl.Result{}, errors.New("not today")
		}),
	})
	must(t, err)
	events := make(chan event.GenericEvent, 1)
	must(t, c.Watch(source.Channel(events, &handler.EnqueueRequestForObject{})))
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	events <- event.GenericEvent{Object: &mdmv1alpha1.Profile{ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "office"}}}
	<-met
	<-met // the first pass is over and counted
	cancel()
	must(t, <-ended)
}

// state is a server with a certificate of each sort and a folder that it refuses.
type state struct{}

func (state) Describe() *adminapi.Info {
	return &adminapi.Info{Serving: adminapi.CertificateInfo{NotAfter: time.Now()}, Refused: map[string]string{"push": "the key is for another certificate"}}
}

func (state) Counts(context.Context) (enrolled, behind, responding int, err error) {
	return 5, 2, 4, nil
}

func ofServer(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	m := servermetrics.New("v0.0.0")
	m.Watch(state{})
	m.Request("devices", "PUT /mdm/checkin", http.StatusOK, time.Second)
	m.Push(fleet.WakeAccepted)
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(answer.Body.Bytes()))
	must(t, err)
	return slices.Collect(maps.Values(families))
}

// ofAPIServer are what an API server tells of webhooks that it could not call and of aggregated APIs that do not answer.
func ofAPIServer(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	metrics.Metrics.ObserveWebhookFailOpen(t.Context(), "profiles.mdm.kubemdm.io", "validating")
	available := aggregator.New()
	must(t, available.Register(legacyregistry.Register, legacyregistry.CustomRegister))
	available.SetAPIServiceUnavailable("v1alpha1.live.mdm.kubemdm.io")
	return gathered(t, legacyregistry.DefaultGatherer)
}
