package mdmserver

import (
	"context"
	"strconv"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
)

// replicas are the pods to ask each for itself, those that start or stop among them: devices may come to any. They are read from the API server, since one
// that a cache does not know yet would not be asked.
func (r *Reconciler) replicas(ctx context.Context, s *scope) (link.Replicas, error) {
	if !s.server.Shared() {
		return link.Replicas{}, nil
	}
	list := &discoveryv1.EndpointSliceList{}
	err := r.Client.List(ctx, list, client.InNamespace(s.server.Namespace), client.MatchingLabels{discoveryv1.LabelServiceName: s.server.AdminName()})
	if err != nil {
		return link.Replicas{}, err
	}
	var all link.Replicas
	staying := 0
	for _, slice := range list.Items {
		port := adminPort(slice)
		if slice.AddressType != list.Items[0].AddressType || port == "" { // a pod with addresses of both families is in two slices
			continue
		}
		for _, endpoint := range slice.Endpoints {
			all.Add(endpoint.Addresses[0], port)
			if !ptr.Deref(endpoint.Conditions.Terminating, false) {
				staying++
			}
		}
	}
	// Pods that stop are in no count of the Deployment, and pods that start have no address yet.
	all.Pods = len(all.Addresses) + max(0, int(*s.server.Status.Replicas)-staying)
	return all, nil
}

// adminPort is that of the internal API in the pods of a slice, "" if they have none.
func adminPort(slice discoveryv1.EndpointSlice) string {
	for _, port := range slice.Ports {
		if ptr.Deref(port.Name, "") == owned.AdminPortName && port.Port != nil {
			return strconv.Itoa(int(*port.Port))
		}
	}
	return ""
}
