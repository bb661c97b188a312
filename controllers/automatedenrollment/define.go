package automatedenrollment

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/certs"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/controllers/internal/owned"
	"github.com/kubemdm/kubemdm/controllers/internal/source"
	"github.com/kubemdm/kubemdm/internal/ade"
	"github.com/kubemdm/kubemdm/internal/payload/content"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// maxSurveyed bounds the profiles at Apple that are looked at to find ours again.
const maxSurveyed = 64

// define defines profiles at Apple that it does not have as they are now.
func (r *Reconciler) define(ctx context.Context, s *scope, report *loop.Report) error {
	server := &mdmv1alpha1.MDMServer{}
	if err := r.Client.Get(ctx, s.serverKey(), server); apierrors.IsNotFound(err) {
		return loop.Wait(mdmv1alpha1.ReasonServerNotFound, 0, "create the MDMServer %s, or make an AutomatedEnrollment with another spec.serverRef", s.serverKey().Name)
	} else if err != nil {
		return err
	}
	s.server = server
	if server.Status.URL == "" {
		return loop.Wait(mdmv1alpha1.ReasonPending, soon, "the MDMServer %s has no address yet", server.Name)
	}
	s.object.Status.URL = server.Status.URL + "/ade/" + s.object.Namespace + "/" + s.object.Name
	wanted, err := r.wanted(ctx, s)
	if err != nil {
		return err
	}
	if s.cut != nil || !s.fresh {
		report.Keep()
		return nil
	}
	if err := r.defineAll(ctx, s, wanted); err != nil {
		return err
	}
	switch {
	case s.cut != nil:
		report.False(s.cut.reason, "%s", s.cut.message)
	case len(wanted) == 0:
		report.False(mdmv1alpha1.AutomatedEnrollmentNoProfiles, "spec.profiles is empty: devices are listed, and none gets a profile")
	}
	return nil
}

// wanted renders the profiles as Apple should have them, in the order of the spec.
func (r *Reconciler) wanted(ctx context.Context, s *scope) ([]ade.Profile, error) {
	own, err := r.ownAnchors(ctx, s)
	if err != nil {
		return nil, err
	}
	var all []ade.Profile
	for i := range s.object.Spec.Profiles {
		p := &s.object.Spec.Profiles[i]
		if p.SignIn == mdmv1alpha1.SetupSignInRequired && (s.server.Spec.Apple == nil || s.server.Spec.Apple.SignIn == nil) {
			return nil, loop.Stall(mdmv1alpha1.AutomatedEnrollmentSignInMissing,
				"the profile %s asks people to sign in, and the MDMServer %s has no spec.apple.signIn: add it, or take signIn away", p.Name, s.server.Name)
		}
		anchors := own
		if ref := p.AnchorsConfigMapRef; ref != nil {
			given, err := r.givenAnchors(ctx, s, *ref)
			if err != nil {
				return nil, err
			}
			anchors = slices.Concat(own, given)
		}
		all = append(all, render(p, s.object.Status.URL, anchors))
	}
	return all, nil
}

func render(p *mdmv1alpha1.SetupProfile, url string, anchors [][]byte) ade.Profile {
	out := ade.Profile{
		ProfileName: cmp.Or(p.DisplayName, p.Name), URL: url, AwaitDeviceConfigured: p.AwaitConfiguration == mdmv1alpha1.AwaitHold,
		IsMandatory: p.Enrollment == mdmv1alpha1.SetupMandatory, IsMDMRemovable: p.Removal == mdmv1alpha1.RemovalAllowed, IsSupervised: true,
		AllowPairing: p.Pairing == mdmv1alpha1.PairingAllowed, AutoAdvanceSetup: p.Advance == mdmv1alpha1.AdvanceAutomatic,
		Department: p.Department, SupportPhoneNumber: p.SupportPhoneNumber, SupportEmailAddress: p.SupportEmail,
		Language: p.Language, Region: p.Region, AnchorCerts: anchors, SkipSetupItems: slices.Clone(p.SkipItems),
	}
	if p.SignIn == mdmv1alpha1.SetupSignInRequired {
		out.ConfigurationWebURL = url + "/signin"
	}
	return out
}

// ownAnchors are the CA of the server's certificate, if devices do not trust it by themselves.
func (r *Reconciler) ownAnchors(ctx context.Context, s *scope) ([][]byte, error) {
	if meta.IsStatusConditionTrue(s.server.Status.Conditions, mdmv1alpha1.MDMServerPubliclyTrusted) {
		return nil, nil
	}
	name := owned.Server{MDMServer: s.server}.ServingSecret()
	secret, err := owned.GetSecret(ctx, r.Client, s.server.Namespace, name)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		return nil, loop.Wait(mdmv1alpha1.ReasonPending, soon, "the MDMServer %s has no certificate yet", s.server.Name)
	}
	return ders(secret.Data[serverconfig.CAFile]), nil
}

func (r *Reconciler) givenAnchors(ctx context.Context, s *scope, ref mdmv1alpha1.KeyReference) ([][]byte, error) {
	found, err := source.Read(ctx, r.Client, s.object.Namespace, content.References{ConfigMaps: []mdmv1alpha1.KeyReference{ref}})
	if err != nil {
		return nil, err
	}
	given := ders(found.ConfigMaps[ref])
	if len(given) == 0 {
		return nil, loop.Stall(mdmv1alpha1.ReasonInvalid, "the key %s of the ConfigMap %s holds no PEM certificate", ref.Key, ref.Name)
	}
	return given, nil
}

// ders reads PEM certificates, none if there are none that can be read.
func ders(pem []byte) [][]byte {
	read, err := certs.Read(pem)
	if err != nil {
		return nil
	}
	var out [][]byte
	for _, c := range read {
		out = append(out, c.Raw)
	}
	return out
}

// defineAll brings the status's profiles to what is wanted.
func (r *Reconciler) defineAll(ctx context.Context, s *scope, wanted []ade.Profile) error {
	if err := r.survey(ctx, s); err != nil {
		return s.failed(err, r.Clock.Now())
	}
	before := s.object.Status.Profiles
	var after []mdmv1alpha1.SetupProfileStatus
	for i, p := range wanted {
		defined := mdmv1alpha1.SetupProfileStatus{Name: s.object.Spec.Profiles[i].Name, Digest: p.Digest()}
		for _, was := range before {
			if was.Name == defined.Name && was.Digest == defined.Digest {
				defined.UUID, defined.Devices = was.UUID, was.Devices
			}
		}
		if defined.UUID == "" && s.cut == nil {
			uuid, err := r.adoptOrDefine(ctx, s, p)
			if err := s.failed(err, r.Clock.Now()); err != nil {
				return err
			}
			defined.UUID = uuid
		}
		if defined.UUID != "" {
			after = append(after, defined)
		}
	}
	s.retire(before, after)
	s.object.Status.Profiles = after
	return nil
}

// retire remembers the profiles that were ours: devices lose them if none of the new ones is for them.
func (s *scope) retire(before, after []mdmv1alpha1.SetupProfileStatus) {
	for _, was := range before {
		s.account.profiles[was.UUID] = ade.Profile{URL: s.object.Status.URL}
	}
	for _, now := range after {
		delete(s.account.profiles, now.UUID)
	}
}

// survey looks at the profiles that devices have at Apple and that the status does not know: they may be ours from before a restart or a loss of the status.
func (r *Reconciler) survey(ctx context.Context, s *scope) error {
	if s.account.profiles == nil {
		s.account.profiles = map[string]ade.Profile{}
	}
	known := map[string]bool{"": true}
	for _, p := range s.object.Status.Profiles {
		known[p.UUID] = true
	}
	for _, d := range s.account.list {
		if _, seen := s.account.profiles[d.ProfileUUID]; seen || known[d.ProfileUUID] || len(s.account.profiles) >= maxSurveyed {
			continue
		}
		found, err := s.account.client.Profile(ctx, d.ProfileUUID)
		var f *ade.Failure
		if errors.As(err, &f) && (f.Kind == ade.ProfileNotFound || f.Kind == ade.Refused) {
			err = nil // what Apple does not show is somebody else's
		}
		if err != nil {
			return err
		}
		s.account.profiles[d.ProfileUUID] = found
	}
	return nil
}

// adoptOrDefine finds the profile among those that devices have at Apple, as after a loss of the status, or defines it.
func (r *Reconciler) adoptOrDefine(ctx context.Context, s *scope, p ade.Profile) (string, error) {
	for uuid, found := range s.account.profiles {
		if found.Digest() == p.Digest() {
			return uuid, nil
		}
	}
	return s.account.client.Define(ctx, p)
}

// ours says whether a profile at Apple sends devices to this server in the name of this object.
func (s *scope) ours(uuid string) bool {
	p, known := s.account.profiles[uuid]
	return known && p.URL == s.object.Status.URL
}

// redefine drops a profile that Apple does not know any more from the status, so that the next pass defines it anew.
func (s *scope) redefine(uuid string, report *loop.Report) {
	s.object.Status.Profiles = slices.DeleteFunc(s.object.Status.Profiles, func(p mdmv1alpha1.SetupProfileStatus) bool { return p.UUID == uuid })
	report.Again(time.Second)
}
