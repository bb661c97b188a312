package automatedenrollment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/link"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// publish tells the server which devices may enrol this way, before Apple sends them there. Without the whole list it is told nothing: a part of it
// would shut devices out.
func (r *Reconciler) publish(ctx context.Context, s *scope, report *loop.Report) error {
	if s.plan == nil {
		report.Keep()
		return nil
	}
	session, err := r.Links.Await(ctx, r.Client, s.object, s.object.Spec.ServerRef.Name, mdmv1alpha1.AutomatedEnrollmentPublished, report)
	if err != nil {
		return err // nothing is assigned that the server does not know
	}
	automated := s.automated()
	if s.account.session == session && s.account.digest == automated.Digest {
		report.True(mdmv1alpha1.ReasonReady, "the server knows %d devices", len(automated.Devices))
		return nil
	}
	if _, err := session.Client().PutAutomated(ctx, automated); err != nil {
		return link.Halt(err)
	}
	s.account.session, s.account.digest = session, automated.Digest
	report.True(mdmv1alpha1.ReasonReady, "the server knows %d devices", len(automated.Devices))
	return nil
}

// automated is the whole of it as the server should know it.
func (s *scope) automated() adminapi.Automated {
	a := adminapi.Automated{Key: s.key(), Devices: s.plan.profiles}
	for i := range s.object.Spec.Profiles {
		p := &s.object.Spec.Profiles[i]
		profile := adminapi.AutomatedProfile{
			Name: p.Name, SignIn: p.SignIn == mdmv1alpha1.SetupSignInRequired, AwaitConfiguration: p.AwaitConfiguration == mdmv1alpha1.AwaitHold,
		}
		for _, oldest := range p.MinimumOS {
			if profile.MinimumOS == nil {
				profile.MinimumOS = map[string]adminapi.OSVersion{}
			}
			profile.MinimumOS[string(oldest.Family)] = adminapi.OSVersion{Version: oldest.Version, Build: oldest.Build}
		}
		a.Profiles = append(a.Profiles, profile)
	}
	encoded, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings and bools always encode; maps in the order of their keys
	}
	sum := sha256.Sum256(encoded)
	a.Digest = hex.EncodeToString(sum[:])
	return a
}
