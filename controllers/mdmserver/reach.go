package mdmserver

import (
	"context"
	"errors"
	"maps"
	"slices"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// reach reads the server's state through the internal API.
func (r *Reconciler) reach(ctx context.Context, s *scope, report *loop.Report) error {
	server, err := r.Links.Server(client.ObjectKeyFromObject(s.server))
	if *s.server.Spec.Replicas == 0 {
		report.False(mdmv1alpha1.MDMServerStopped, "spec.replicas is 0; raise it to serve devices")
		return nil
	}
	if errors.Is(err, link.ErrConnecting) { // a manager that has just started knows nothing of its servers yet
		report.Keep()
		s.connecting = true
		return nil
	}
	if err != nil {
		report.False(mdmv1alpha1.ReasonServerUnreachable, "the internal API does not answer: %v", err)
		return nil
	}
	info, err := server.Refresh(ctx)
	if err != nil {
		report.False(mdmv1alpha1.ReasonServerUnreachable, "the internal API does not answer: %v", err)
		return nil
	}
	s.info = &info
	s.publish(info)
	report.True(mdmv1alpha1.MDMServerConnected, "the internal API answers%s", refusals(info.Refused))
	return nil
}

// refusals names the mounted folders whose newest content the server does not use.
func refusals(refused map[string]string) string {
	text := ""
	for _, folder := range slices.Sorted(maps.Keys(refused)) {
		text += "; the newest " + folder + " files are not in use: " + refused[folder]
	}
	return text
}

func (s *scope) publish(info adminapi.Info) {
	status := &s.server.Status
	status.Version, status.StoreEpoch, status.PushTopic = info.Version, info.StoreEpoch, info.Push.Topic
	status.Enrolled, status.Behind, status.Responding = ptr.To(int32(info.Enrolled)), ptr.To(int32(info.Behind)), ptr.To(int32(info.Responding))
}
