package mdmserver

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
)

// patience is how long a rollout may take before it is called unavailable.
const patience = 5 * time.Minute

// deploy runs the pods and what leads to them.
func (r *Reconciler) deploy(ctx context.Context, s *scope, report *loop.Report) error {
	wanted, unwanted := workload(s.server)
	for _, obj := range unwanted {
		// An API that is not installed holds no object.
		if err := owned.Remove(ctx, r.Client, s.server.MDMServer, obj); err != nil && !meta.IsNoMatchError(err) {
			return err
		}
	}
	if err := owned.Apply(ctx, r.Client, s.server.MDMServer, wanted...); err != nil {
		if meta.IsNoMatchError(err) {
			return loop.Stall(mdmv1alpha1.ReasonInvalid, "spec.exposure.gateway needs the Gateway API: install its CRDs and restart the manager (%v)", err)
		}
		return err
	}
	pods, err := r.pods(ctx, s)
	if err != nil {
		return err
	}
	status := &s.server.Status
	status.URL = "https://" + s.server.Spec.Host
	status.Replicas, status.ReadyReplicas = &pods.there, &pods.ready
	status.Selector = labels.SelectorFromSet(s.server.Selector()).String()
	r.judge(s, report, pods)
	return nil
}

// pods are how many a workload has, and whether it has seen its newest spec.
type pods struct {
	current                          bool
	there, ready, available, updated int32
}

// pods reads the counts of the workload. The cache may not know it yet; it then counts as one without pods.
func (r *Reconciler) pods(ctx context.Context, s *scope) (pods, error) {
	key := client.ObjectKeyFromObject(s.server)
	if s.server.Shared() {
		d := &appsv1.Deployment{}
		err := client.IgnoreNotFound(r.Client.Get(ctx, key, d))
		current := d.UID != "" && d.Status.ObservedGeneration == d.Generation
		return pods{current, d.Status.Replicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas, d.Status.UpdatedReplicas}, err
	}
	set := &appsv1.StatefulSet{}
	err := client.IgnoreNotFound(r.Client.Get(ctx, key, set))
	current := set.UID != "" && set.Status.ObservedGeneration == set.Generation
	return pods{current, set.Status.Replicas, set.Status.ReadyReplicas, set.Status.AvailableReplicas, set.Status.UpdatedReplicas}, err
}

// workload lists what should be there and what should not.
func workload(s owned.Server) (wanted, unwanted []client.Object) {
	wanted = []client.Object{s.ConfigMap(), s.AdminService(), s.Service(), s.NetworkPolicy()}
	choose := func(there bool, build func() client.Object, absent client.Object) {
		if there {
			wanted = append(wanted, build())
			return
		}
		absent.SetNamespace(s.Namespace)
		absent.SetName(s.Name)
		unwanted = append(unwanted, absent)
	}
	choose(!s.Shared(), func() client.Object { return s.StatefulSet() }, &appsv1.StatefulSet{})
	choose(s.Shared(), func() client.Object { return s.Deployment() }, &appsv1.Deployment{})
	choose(*s.Spec.Replicas > 1, func() client.Object { return s.PodDisruptionBudget() }, s.PodDisruptionBudget())
	choose(s.Spec.Exposure.Ingress != nil, func() client.Object { return s.Ingress() }, &networkingv1.Ingress{})
	choose(s.Spec.Exposure.Gateway != nil, func() client.Object { return s.TLSRoute() }, tlsRoute())
	return wanted, unwanted
}

func (r *Reconciler) judge(s *scope, report *loop.Report, p pods) {
	wanted := *s.server.Spec.Replicas
	switch {
	case p.current && p.there == wanted && p.available == wanted && p.updated == wanted:
		if wanted == 0 {
			report.True(mdmv1alpha1.MDMServerStopped, "spec.replicas is 0")
		}
	case r.since(s, mdmv1alpha1.MDMServerDeployed) > patience:
		report.False(mdmv1alpha1.MDMServerUnavailable, "%d of %d pods are available; see the events and logs of the pods with the labels %s",
			p.available, wanted, s.server.Status.Selector)
	default:
		report.False(mdmv1alpha1.MDMServerRollingOut, "waiting for %d pods to be available", wanted)
		report.Again(patience)
	}
}

// since is for how long a condition has been False.
func (r *Reconciler) since(s *scope, condition string) time.Duration {
	c := meta.FindStatusCondition(s.server.Status.Conditions, condition)
	if c == nil || c.Status != metav1.ConditionFalse {
		return 0
	}
	return r.Clock.Since(c.LastTransitionTime.Time)
}

func tlsRoute() *gatewayv1.TLSRoute { return &gatewayv1.TLSRoute{} }

// gatewayInstalled says whether the API server knows TLSRoutes.
func gatewayInstalled(mapper meta.RESTMapper) (bool, error) {
	_, err := mapper.RESTMapping(schema.GroupKind{Group: gatewayv1.GroupName, Kind: "TLSRoute"}, "v1")
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}
