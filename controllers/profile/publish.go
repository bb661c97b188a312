package profile

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/convert"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/roster"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// conflictAgain is how often an identifier that another Profile owns is asked for again: nobody tells when it is free.
const conflictAgain = 30 * time.Second

// publish sees that the server has the content, and that it was told once which devices the current spec is for.
func (r *Reconciler) publish(ctx context.Context, s *scope, report *loop.Report) error {
	was := meta.FindStatusCondition(s.profile.Status.Conditions, mdmv1alpha1.ProfilePublished)
	published := was != nil && was.Status == metav1.ConditionTrue && was.ObservedGeneration == s.profile.Generation
	status, known := s.server.Artifact(s.key)
	if !known || status.Withdrawn || status.Digest != s.rendered.Digest || !published {
		answer, err := s.server.PutArtifact(ctx, s.content())
		if err != nil {
			return refusal(err, report)
		}
		status = *answer
		if !known {
			r.Links.Wake(ctx, link.Event{Server: s.serverName(), Kind: link.KindAssignments})
		}
	}
	s.artifact = &status
	s.profile.Status.Identifier = s.rendered.Identifier
	if err := r.decide(ctx, s, published, report); err != nil {
		return err
	}
	if !published && !s.decision.Told(s.key, s.groups) {
		report.False(mdmv1alpha1.ReasonPending, "the server is about to hear which devices should have it")
	}
	return nil
}

func (s *scope) content() adminapi.Artifact {
	return adminapi.Artifact{
		Key: s.key, Scope: adminapi.Scope(s.profile.Spec.Scope), Platform: adminapi.Platform(s.profile.Spec.Platform()), Identifier: s.rendered.Identifier,
		Digest: s.rendered.Digest, Template: s.rendered.Template,
		Sign: s.profile.Spec.Apple != nil && s.profile.Spec.Signing != mdmv1alpha1.ProfileUnsigned,
	}
}

func refusal(err error, report *loop.Report) error {
	var refused *adminapi.Error
	if errors.As(err, &refused) {
		switch refused.Code {
		case adminapi.CodeIdentifierConflict:
			report.Again(conflictAgain)
			return loop.Stall(mdmv1alpha1.ProfileIdentifierConflict,
				"the Profile %s owns the same PayloadIdentifier, and a device can hold only one profile of it: change one of them", convert.Name(refused.Owner))
		case adminapi.CodeTooLarge:
			return loop.Stall(mdmv1alpha1.ProfileTooLarge, "%s: split it into several Profiles", refused.Message)
		}
	}
	return link.Halt(err)
}

// decide says which devices should have the Profile, as the one who tells the server does. Those of one that is not published yet are those of now: Published
// says that the server was told of them.
func (r *Reconciler) decide(ctx context.Context, s *scope, published bool, report *loop.Report) error {
	var err error
	var again time.Duration
	if published {
		s.groups, again, err = r.Book.Recent(ctx, r.Client, s.serverName(), s.server)
	} else {
		s.groups, err = r.Book.Groups(ctx, r.Client, s.serverName(), s.server)
	}
	if err != nil {
		return err
	}
	report.Again(again)
	s.decision = roster.Decide(s.profile, s.groups)
	return nil
}

// withdraw takes the profile from all devices that have it, or leaves it there for good.
func (r *Reconciler) withdraw(ctx context.Context, s *scope, report *loop.Report) error {
	r.Pace.Restart(client.ObjectKeyFromObject(s.profile))
	server, err := r.Links.Find(ctx, r.Client, s.profile.Namespace, s.profile.Spec.ServerRef.Name)
	if errors.Is(err, link.ErrNotFound) {
		report.False(mdmv1alpha1.ReasonServerNotFound, "the MDMServer is gone: nobody could be told to remove the profile from devices")
		return nil
	}
	if err != nil {
		return link.Halt(err)
	}
	return link.Halt(server.DeleteArtifact(ctx, s.key, s.profile.Spec.DeletionPolicy == mdmv1alpha1.ProfileRetain))
}
