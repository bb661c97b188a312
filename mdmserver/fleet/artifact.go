package fleet

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// PutArtifact stores an artifact and makes it pending wherever it is assigned with another digest. Errors: adminapi.CodeIdentifierConflict,
// adminapi.CodeTooLarge, adminapi.CodeInvalid (a change of scope or platform; a profile for Windows that cannot be sent).
func (f *Fleet) PutArtifact(ctx context.Context, a adminapi.Artifact) (*adminapi.ArtifactStatus, error) {
	if len(a.Template) > adminapi.MaxArtifact {
		return nil, &adminapi.Error{Code: adminapi.CodeTooLarge, Message: fmt.Sprintf("the profile has %d bytes; the limit is %d", len(a.Template), adminapi.MaxArtifact)}
	}
	nodes, err := nodesOf(&a)
	if err != nil {
		return nil, err
	}
	row := ArtifactRow{
		Key: a.Key, Scope: a.Scope, Identifier: a.Identifier, Digest: a.Digest, Sign: a.Sign, Platform: cmp.Or(a.Platform, adminapi.PlatformApple),
	}
	if row.Platform == adminapi.PlatformWindows {
		row.Identifier = string(a.Key)
	}
	if row.Template, err = f.seal(a.Template, sealedTemplate, string(a.Key)); err != nil {
		return nil, err
	}
	var status *adminapi.ArtifactStatus
	err = f.update(ctx, func(tx *txn) error {
		if err := storeArtifact(tx, &row, nodes); err != nil {
			return err
		}
		status, err = artifactStatus(tx, &row)
		return err
	})
	return status, err
}

// storeArtifact stores the row and rolls out what is new in it.
func storeArtifact(tx *txn, row *ArtifactRow, nodes []string) error {
	old, err := tx.Artifact(row.Key)
	if err != nil {
		return err
	}
	if err := acceptable(tx, old, row); err != nil {
		return err
	}
	if err := tx.PutArtifact(*row); err != nil {
		return err
	}
	if old != nil && !old.Withdrawn && old.Digest == row.Digest && old.Identifier == row.Identifier {
		return nil
	}
	if err := tx.PutNodes(row.Key, nodes); err != nil {
		return err
	}
	return rollOut(tx, row)
}

// nodesOf lists the nodes that an artifact for Windows writes, in order.
func nodesOf(a *adminapi.Artifact) ([]string, error) {
	if a.Platform != adminapi.PlatformWindows {
		return nil, nil
	}
	p, err := parseWindowsProfile(a.Template, a.Scope)
	if err != nil {
		return nil, err
	}
	return sortedNodes(writes(newSteps(p.Commands))), nil
}

// acceptable checks that the artifact stays in its scope and on its platform, and that nobody else owns its identifier there.
func acceptable(tx *txn, old, row *ArtifactRow) error {
	if old != nil && old.Scope != row.Scope {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Message: "the scope of an artifact never changes: withdraw it and use another name"}
	}
	if old != nil && old.Platform != row.Platform {
		return &adminapi.Error{Code: adminapi.CodeInvalid, Message: "the platform of an artifact never changes: withdraw it and use another name"}
	}
	owner, err := tx.ArtifactByIdentifier(row.Scope, row.Identifier)
	if err != nil || owner == nil || owner.Key == row.Key {
		return err
	}
	return &adminapi.Error{
		Code: adminapi.CodeIdentifierConflict, Owner: owner.Key,
		Message: fmt.Sprintf("%s has the PayloadIdentifier %s already; a device can hold only one profile of that identifier", owner.Key, row.Identifier),
	}
}

// rollOut brings the states of an artifact to its digest and wakes the channels that are behind.
func rollOut(tx *txn, a *ArtifactRow) error {
	failing, err := tx.FailingDevices(a.Key, 0)
	if err != nil {
		return err
	}
	for _, st := range failing {
		tx.touch(adminapi.KindDevice, st.DeviceID)
	}
	if err := tx.ResetStates(a.Key, a.Digest, tx.now); err != nil {
		return err
	}
	if err := tx.SeedArtifact(a.Key, tx.now); err != nil {
		return err
	}
	tx.touch(adminapi.KindArtifact, string(a.Key))
	return tx.wakeArtifact(a.Key)
}

// DeleteArtifact withdraws an artifact: it is removed from every device that carries it, whatever becomes of its Profile. With retain it is
// forgotten and stays on the devices. An unknown artifact is no error.
func (f *Fleet) DeleteArtifact(ctx context.Context, key adminapi.Key, retain bool) error {
	return f.update(ctx, func(tx *txn) error {
		row, err := tx.Artifact(key)
		if err != nil || row == nil {
			return err
		}
		failing, err := tx.FailingDevices(key, 0)
		if err != nil {
			return err
		}
		for _, st := range failing {
			tx.touch(adminapi.KindDevice, st.DeviceID)
		}
		if err := tx.DeleteAssignmentsOf(key); err != nil {
			return err
		}
		if err := tx.DeleteStatesOf(key); err != nil {
			return err
		}
		if retain {
			if err := tx.DeleteRecordsOf(key); err != nil {
				return err
			}
		}
		row.Withdrawn, row.Template = true, nil
		if err := tx.PutArtifact(*row); err != nil {
			return err
		}
		tx.touch(adminapi.KindArtifact, string(key))
		if err := tx.wakeArtifact(key); err != nil {
			return err
		}
		return forgetIfGone(tx, key)
	})
}

// forgetIfGone deletes a withdrawn artifact that is on no device any more.
func forgetIfGone(tx *txn, key adminapi.Key) error {
	row, err := tx.Artifact(key)
	if err != nil || row == nil || !row.Withdrawn {
		return err
	}
	left, err := tx.CountRecords(key)
	if err != nil || left > 0 {
		return err
	}
	tx.touch(adminapi.KindArtifact, string(key))
	return tx.DeleteArtifact(key)
}

// PutAssignments stores the whole artifact set of each device named.
func (f *Fleet) PutAssignments(ctx context.Context, b adminapi.AssignmentBatch) (*adminapi.AssignmentReply, error) {
	var reply *adminapi.AssignmentReply
	err := f.update(ctx, func(tx *txn) error {
		reply = &adminapi.AssignmentReply{}
		missing := map[adminapi.Key]bool{}
		for _, a := range b.Assignments {
			device, err := tx.Device(a.DeviceID)
			if err != nil {
				return err
			}
			if device == nil || device.EnrollmentID != a.EnrollmentID || device.State == adminapi.DeviceEnded {
				reply.Stale = append(reply.Stale, a.DeviceID)
				continue
			}
			if err := assign(tx, a, missing); err != nil {
				return err
			}
			if err := told(tx, device); err != nil {
				return err
			}
		}
		for key := range missing {
			reply.Missing = append(reply.Missing, key)
		}
		slices.Sort(reply.Missing)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// assign brings the assignments of one device to the set, adding to missing what does not exist. The same set again changes nothing.
func assign(tx *txn, a adminapi.Assignment, missing map[adminapi.Key]bool) error {
	for _, key := range a.Artifacts {
		artifact, err := tx.Artifact(key)
		if err != nil {
			return err
		}
		if artifact == nil || artifact.Withdrawn {
			missing[key] = true
		}
	}
	changed, err := replaceAssignments(tx, a)
	if err != nil || !changed {
		return err
	}
	failing, err := tx.CountFailing(a.DeviceID)
	if err != nil {
		return err
	}
	if failing > 0 {
		tx.touch(adminapi.KindDevice, a.DeviceID)
	}
	if err := tx.DropUnassigned(a.DeviceID); err != nil {
		return err
	}
	if err := tx.SeedDevice(a.DeviceID, tx.now); err != nil {
		return err
	}
	return tx.wakeAll(a.DeviceID)
}

func replaceAssignments(tx *txn, a adminapi.Assignment) (changed bool, err error) {
	have, err := tx.AssignmentsOf(a.DeviceID)
	if err != nil {
		return false, err
	}
	dropped, added := without(have, a.Artifacts), without(a.Artifacts, have)
	for _, key := range dropped {
		tx.touch(adminapi.KindArtifact, string(key))
		if err := tx.DeleteAssignment(a.DeviceID, key); err != nil {
			return false, err
		}
	}
	for _, key := range added {
		tx.touch(adminapi.KindArtifact, string(key))
		if err := tx.PutAssignment(a.DeviceID, key); err != nil {
			return false, err
		}
	}
	return len(dropped)+len(added) > 0, nil
}

// without returns the keys that are not among the others.
func without(keys, others []adminapi.Key) []adminapi.Key {
	return slices.DeleteFunc(slices.Clone(keys), func(k adminapi.Key) bool { return slices.Contains(others, k) })
}

// ListArtifacts lists the states of all artifacts, withdrawn ones included.
func (f *Fleet) ListArtifacts(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.ArtifactStatus], error) {
	return page(ctx, f, limit, func(tx *txn, limit int) ([]ArtifactRow, error) {
		return tx.Artifacts(after, limit)
	}, func(tx *txn, a *ArtifactRow) (adminapi.ArtifactStatus, string, error) {
		status, err := artifactStatus(tx, a)
		if err != nil {
			return adminapi.ArtifactStatus{}, "", err
		}
		return *status, string(a.Key), nil
	})
}

// ListAssignments lists the assignments of all devices; those of an enrolment that is over are empty.
func (f *Fleet) ListAssignments(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.Assignment], error) {
	return page(ctx, f, limit, func(tx *txn, limit int) ([]DeviceRow, error) {
		return tx.Devices(after, limit)
	}, func(tx *txn, d *DeviceRow) (adminapi.Assignment, string, error) {
		keys, err := tx.AssignmentsOf(d.ID)
		return adminapi.Assignment{DeviceID: d.ID, EnrollmentID: d.EnrollmentID, Artifacts: keys}, d.ID, err
	})
}

func artifactStatus(tx *txn, a *ArtifactRow) (*adminapi.ArtifactStatus, error) {
	c, err := tx.ArtifactCounts(a.Key)
	if err != nil {
		return nil, fmt.Errorf("counting devices of an artifact: %w", err)
	}
	status := &adminapi.ArtifactStatus{
		Key: a.Key, Digest: a.Digest, Scope: a.Scope, Identifier: a.Identifier, Withdrawn: a.Withdrawn,
		Targeted: c.Targeted, Installed: c.Installed, NotNow: c.NotNow, Failed: c.Failed, Removing: c.Removing,
		Pending: c.Targeted - c.Installed - c.Failed,
	}
	if c.Failed == 0 {
		return status, nil
	}
	failing, err := tx.FailingDevices(a.Key, adminapi.MaxFailing)
	for _, st := range failing {
		status.Failing = append(status.Failing, st.failure())
	}
	return status, err
}

func (st *StateRow) failure() adminapi.Failure {
	return adminapi.Failure{DeviceID: st.DeviceID, Artifact: st.Artifact, Digest: st.Digest, Message: st.Message, Since: st.Since}
}
