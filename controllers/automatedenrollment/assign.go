package automatedenrollment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	mdmv1alpha1 "github.com/kubemdm/kubemdm/api/v1alpha1"
	"github.com/kubemdm/kubemdm/controllers/internal/loop"
	"github.com/kubemdm/kubemdm/internal/ade"
)

// failedAgain is the pause before an assignment that Apple failed at is tried again.
const failedAgain = 5 * time.Minute

// assign compares what Apple says is assigned with what should be, and sends the difference.
func (r *Reconciler) assign(ctx context.Context, s *scope, report *loop.Report) error {
	if s.plan == nil {
		report.Keep()
		return nil
	}
	uuids := map[string]string{}
	for _, p := range s.object.Status.Profiles {
		uuids[p.Name] = p.UUID
	}
	if s.cut == nil {
		if err := r.send(ctx, s, uuids, report); err != nil {
			return err
		}
	}
	s.count(uuids)
	counted := s.object.Status.Devices
	switch {
	case s.cut != nil:
		report.False(s.cut.reason, "%s", s.cut.message)
		report.Again(s.account.resume.Sub(r.Clock.Now()))
	case *counted.Refused > 0:
		report.False(mdmv1alpha1.AutomatedEnrollmentAssignmentRefused,
			"Apple refuses to assign a profile to %d devices; see in Apple Business Manager that they are assigned to this server", *counted.Refused)
	case *counted.Assigned+*counted.Unselected < int32(len(s.plan.profiles)):
		report.False(mdmv1alpha1.AutomatedEnrollmentSyncing, "%d of %d devices have the profile that they should have", *counted.Assigned,
			int32(len(s.plan.profiles))-*counted.Unselected)
		report.Again(recheck)
	default:
		report.True(mdmv1alpha1.ReasonReady, "%d devices have a profile, for %d none is meant", *counted.Assigned, *counted.Unselected)
	}
	return nil
}

// send sends what differs, by profile and in chunks that Apple takes.
func (r *Reconciler) send(ctx context.Context, s *scope, uuids map[string]string, report *loop.Report) error {
	now := r.Clock.Now()
	for uuid, serials := range s.differences(uuids, now) {
		slices.Sort(serials)
		for chunk := range slices.Chunk(serials, ade.MaxChunk) {
			results, err := r.call(ctx, s, uuid, chunk)
			s.credit(uuid, chunk, results, now, report)
			var f *ade.Failure
			if errors.As(err, &f) && f.Kind == ade.ProfileNotFound {
				s.redefine(uuid, report)
				break
			}
			if err := s.failed(err, now); err != nil {
				return fmt.Errorf("assigning profiles: %w", err)
			}
			if s.cut != nil {
				return nil
			}
		}
	}
	return nil
}

func (r *Reconciler) call(ctx context.Context, s *scope, uuid string, serials []string) (map[string]ade.Result, error) {
	if uuid == "" {
		return s.account.client.Remove(ctx, serials)
	}
	return s.account.client.Assign(ctx, uuid, serials)
}

// differences are the serial numbers by the profile (uuid) that they should have; "": they should lose one of ours.
func (s *scope) differences(uuids map[string]string, now time.Time) map[string][]string {
	differ := map[string][]string{}
	current := map[string]bool{}
	for _, uuid := range uuids {
		current[uuid] = true
	}
	for serial, profile := range s.plan.profiles {
		entry := s.account.list[serial]
		want := uuids[profile]
		switch {
		case entry.ProfileUUID == want, entry.refused != "", now.Before(entry.retry):
		case profile != "" && want == "": // not defined yet
		case want == "" && !current[entry.ProfileUUID] && !s.ours(entry.ProfileUUID): // somebody else's
		default:
			differ[want] = append(differ[want], serial)
		}
	}
	return differ
}

// credit takes what Apple answered into the list.
func (s *scope) credit(uuid string, serials []string, results map[string]ade.Result, now time.Time, report *loop.Report) {
	for _, serial := range serials {
		entry := s.account.list[serial]
		switch results[serial] {
		case ade.Success:
			entry.ProfileUUID = uuid
		case ade.NotAccessible:
			entry.refused = ade.NotAccessible
		case ade.Failed, ade.Deferred:
			entry.retry = now.Add(failedAgain)
			report.Again(failedAgain)
		}
	}
}

// count counts for the status.
func (s *scope) count(uuids map[string]string) {
	perProfile := map[string]int32{}
	var assigned, unselected, refused int32
	for serial, profile := range s.plan.profiles {
		entry := s.account.list[serial]
		if entry.ProfileUUID != "" {
			perProfile[entry.ProfileUUID]++
		}
		switch {
		case profile == "":
			unselected++
		case entry.ProfileUUID == uuids[profile]:
			assigned++
		case entry.refused != "":
			refused++
		}
	}
	counted := s.object.Status.Devices
	counted.Assigned, counted.Unselected, counted.Refused = &assigned, &unselected, &refused
	for i := range s.object.Status.Profiles {
		p := &s.object.Status.Profiles[i]
		p.Devices = new(perProfile[p.UUID])
	}
}
