package setup

import (
	"context"
	"fmt"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/devicecommand"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
)

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// cacheOptions keep only what is ours of the kinds that others have many objects of. TLSRoutes are not among them: a kind that may not be
// installed must not be named here.
func cacheOptions(namespaces []string) cache.Options {
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{owned.LabelManagedBy: owned.ManagedBy})}
	opts := cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.StatefulSet{}: ours, &appsv1.Deployment{}: ours, &corev1.Service{}: ours, &corev1.ConfigMap{}: ours,
			&networkingv1.NetworkPolicy{}: ours, &networkingv1.Ingress{}: ours, &policyv1.PodDisruptionBudget{}: ours,
			&cmapi.Certificate{}: ours, &cmapi.Issuer{}: ours,
			&mdmv1alpha1.Device{}: {Transform: new(slim).device},
		},
	}
	if len(namespaces) > 0 {
		opts.DefaultNamespaces = map[string]cache.Config{}
		for _, ns := range namespaces {
			opts.DefaultNamespaces[ns] = cache.Config{}
		}
	}
	return opts
}

// clientOptions read Secrets, ConfigMaps and volume claims live: caching them takes the right to list them all, and the memory. EndpointSlices must not be
// old.
func clientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{
		DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.PersistentVolumeClaim{}, &discoveryv1.EndpointSlice{}},
	}}
}

// IndexFields makes the indexes by which controllers find objects.
func IndexFields(ctx context.Context, indexer client.FieldIndexer) error {
	for _, index := range []struct {
		obj    client.Object
		field  string
		values client.IndexerFunc
	}{
		{&mdmv1alpha1.EnrollmentToken{}, link.FieldServer, func(o client.Object) []string {
			return []string{o.(*mdmv1alpha1.EnrollmentToken).Spec.ServerRef.Name}
		}},
		{&mdmv1alpha1.Device{}, link.FieldServer, func(o client.Object) []string {
			return []string{o.(*mdmv1alpha1.Device).Spec.ServerRef.Name}
		}},
		{&mdmv1alpha1.Profile{}, link.FieldServer, func(o client.Object) []string {
			return []string{o.(*mdmv1alpha1.Profile).Spec.ServerRef.Name}
		}},
		{&mdmv1alpha1.AutomatedEnrollment{}, link.FieldServer, func(o client.Object) []string {
			return []string{o.(*mdmv1alpha1.AutomatedEnrollment).Spec.ServerRef.Name}
		}},
		{&mdmv1alpha1.DeviceCommand{}, link.FieldServer, func(o client.Object) []string {
			return []string{o.(*mdmv1alpha1.DeviceCommand).Spec.ServerRef.Name}
		}},
		{&mdmv1alpha1.Device{}, roster.FieldIdentity, roster.IndexIdentities},
		{&mdmv1alpha1.DeviceCommand{}, devicecommand.FieldDevice, devicecommand.IndexDevice},
		{&mdmv1alpha1.MDMServer{}, owned.FieldAPNSCertificate, func(o client.Object) []string {
			if ref := o.(*mdmv1alpha1.MDMServer).APNSCertificate(); ref != nil {
				return []string{ref.Name}
			}
			return nil
		}},
	} {
		if err := indexer.IndexField(ctx, index.obj, index.field, index.values); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", index.obj, index.field, err)
		}
	}
	return nil
}

// leaseEpoch is the time, in microseconds since 1970, at which this manager became the leader.
func leaseEpoch(ctx context.Context, reader client.Reader, key client.ObjectKey) (int64, error) {
	lease := &coordinationv1.Lease{}
	if err := reader.Get(ctx, key, lease); err != nil {
		return 0, err
	}
	if lease.Spec.AcquireTime == nil {
		return 0, fmt.Errorf("the Lease %s has no acquireTime", key)
	}
	return lease.Spec.AcquireTime.UnixMicro(), nil
}
