package mdmserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
)

// reach reads the state of every replica through the internal API.
func (r *Reconciler) reach(ctx context.Context, s *scope, report *loop.Report) error {
	if *s.server.Spec.Replicas == 0 {
		report.False(mdmv1alpha1.MDMServerStopped, "spec.replicas is 0; raise it to serve devices")
		return nil
	}
	replicas, err := r.replicas(ctx, s)
	if err != nil {
		return err
	}
	answers, err := r.Links.Ask(ctx, client.ObjectKeyFromObject(s.server), replicas)
	if errors.Is(err, link.ErrConnecting) { // a manager that has just started knows nothing of its servers yet
		report.Keep()
		s.connecting = true
		return nil
	}
	if err != nil {
		report.False(mdmv1alpha1.ReasonServerUnreachable, "the internal API does not answer: %v", err)
		return nil
	}
	s.answers = answers
	s.publish()
	report.True(mdmv1alpha1.MDMServerConnected, "the internal API answers%s%s", silences(answers), refusals(answers.Info.Refused))
	return nil
}

// silences tells of replicas that do not answer.
func silences(a *link.Answers) string {
	if len(a.Failed) == 0 {
		return ""
	}
	return fmt.Sprintf(" at %d of %d replicas (%v)", a.Answered, a.Answered+len(a.Failed), a.Failed[0])
}

// refusals names the mounted folders whose newest content the server does not use.
func refusals(refused map[string]string) string {
	text := ""
	for _, folder := range slices.Sorted(maps.Keys(refused)) {
		text += "; the newest " + folder + " files are not in use: " + refused[folder]
	}
	return text
}

// publish brings what the replicas say to the status: what is in the store only if one of them can read it.
func (s *scope) publish() {
	status, info := &s.server.Status, s.answers.Info
	status.Version, status.PushTopic = info.Version, info.Push.Topic
	if s.answers.Usable == 0 {
		return
	}
	status.StoreEpoch = info.StoreEpoch
	status.Enrolled, status.Behind, status.Responding = ptr.To(int32(info.Enrolled)), ptr.To(int32(info.Behind)), ptr.To(int32(info.Responding))
}
