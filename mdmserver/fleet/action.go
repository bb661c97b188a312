package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// PutAction stores an action for its targets, or answers with the state of the one that has this key and hash already, running or finished.
// Targets whose device has left the named enrolment are closed at once. Errors: adminapi.CodeSpecConflict, adminapi.CodeInvalid.
func (f *Fleet) PutAction(ctx context.Context, a adminapi.Action) (*adminapi.ActionStatus, error) {
	if a.Apple == nil && a.Windows == nil {
		return nil, &adminapi.Error{Code: adminapi.CodeInvalid, Message: "an action needs a command"}
	}
	if reason := unsendableAction(a.Windows); reason != "" {
		return nil, &adminapi.Error{Code: adminapi.CodeInvalid, Message: reason}
	}
	var status *adminapi.ActionStatus
	err := f.update(ctx, func(tx *txn) error {
		row, err := f.findOrCreate(tx, a)
		if err != nil {
			return err
		}
		if err := f.confirm(tx, row); err != nil {
			return err
		}
		status, err = f.actionStatus(tx, row)
		return err
	})
	return status, err
}

func (f *Fleet) findOrCreate(tx *txn, a adminapi.Action) (*ActionRow, error) {
	newest, err := tx.Action(a.Key, "")
	if err != nil {
		return nil, err
	}
	if newest != nil && newest.SpecHash != a.SpecHash && newest.FinishedAt.IsZero() {
		return nil, &adminapi.Error{Code: adminapi.CodeSpecConflict, Message: "an unfinished action has this key and another spec"}
	}
	if newest != nil && newest.SpecHash == a.SpecHash {
		return newest, nil
	}
	seq, err := tx.NextVersion()
	if err != nil {
		return nil, err
	}
	if newest != nil {
		remembered, err := tx.Action(a.Key, a.SpecHash)
		if err != nil {
			return nil, err
		}
		if remembered != nil { // it speaks for the key again
			remembered.Seq = seq
			return remembered, tx.PutAction(*remembered)
		}
	}
	return f.createAction(tx, a, seq)
}

func (f *Fleet) createAction(tx *txn, a adminapi.Action, seq int64) (*ActionRow, error) {
	id, err := f.uuid()
	if err != nil {
		return nil, err
	}
	targets := a.Targets
	a.Targets = nil
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("writing an action: %w", err)
	}
	row := ActionRow{
		ID: id, Key: a.Key, SpecHash: a.SpecHash, RequestType: cmp.Or(requestType(&a, adminapi.PlatformApple), requestType(&a, adminapi.PlatformWindows)),
		Deadline: a.Deadline.UTC(), CreatedAt: tx.now, Seq: seq,
	}
	if row.Command, err = f.seal(plain, sealedCommand, id); err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		row.FinishedAt = tx.now
	}
	if err := tx.PutAction(row); err != nil {
		return nil, err
	}
	tx.touch(adminapi.KindAction, string(a.Key))
	var hopeless []*TargetRow
	for _, target := range targets {
		t, err := f.createTarget(tx, &row, target, &a)
		if err != nil {
			return nil, err
		}
		if t.State.Final() {
			hopeless = append(hopeless, t)
		}
	}
	// Not before all targets stand, since the last open one closes the action.
	for _, t := range hopeless {
		if err := finish(tx, t, t.State, t.Message); err != nil {
			return nil, err
		}
	}
	if len(hopeless) == 0 {
		return &row, nil
	}
	return tx.ActionByID(id)
}

// requestType is what the action is called on the platform, "" if it has no part for it.
func requestType(a *adminapi.Action, p adminapi.Platform) string {
	switch {
	case p == adminapi.PlatformWindows && a.Windows != nil:
		return a.Windows.RequestType
	case p == adminapi.PlatformApple && a.Apple != nil:
		return a.Apple.RequestType
	}
	return ""
}

// openAction opens what the action does.
func (f *Fleet) openAction(id string, command []byte) (*adminapi.Action, error) {
	plain, err := f.open(command, sealedCommand, id)
	if err != nil {
		return nil, err
	}
	a := &adminapi.Action{}
	if err := json.Unmarshal(plain, a); err != nil {
		return nil, fmt.Errorf("reading a stored action: %w", err)
	}
	if a.Apple == nil && a.Windows == nil { // as it was stored when all devices were Apple's
		a.Apple = &adminapi.AppleCommand{}
		if err := json.Unmarshal(plain, a.Apple); err != nil {
			return nil, fmt.Errorf("reading a stored command: %w", err)
		}
	}
	return a, nil
}

// createTarget puts a target. Its State is final if the device will never get the action; it is for the caller to finish it.
func (f *Fleet) createTarget(tx *txn, row *ActionRow, target adminapi.ActionTarget, a *adminapi.Action) (*TargetRow, error) {
	t := &TargetRow{
		ActionID: row.ID, Action: row.Key, DeviceID: target.DeviceID, EnrollmentID: target.EnrollmentID, Deadline: row.Deadline, Seq: row.Seq,
		State: adminapi.TargetQueued,
	}
	device, err := tx.Device(t.DeviceID)
	if err != nil {
		return nil, err
	}
	if device != nil {
		t.RequestType = requestType(a, device.Platform)
	}
	switch {
	case device == nil || device.EnrollmentID != t.EnrollmentID || device.State == adminapi.DeviceEnded:
		t.State, t.Message = adminapi.TargetEnrolmentEnded, "the device is not in the enrolment that the action was made for"
		return t, tx.PutTarget(*t)
	case t.RequestType == "":
		t.State, t.Message = adminapi.TargetFailed, clip(cmp.Or(a.Unsupported[device.Platform], unsupported), maxMessage)
		return t, tx.PutTarget(*t)
	case device.Platform == adminapi.PlatformApple && a.Apple.GeneratePIN:
		pin, err := f.pin()
		if err != nil {
			return nil, err
		}
		if t.PIN, err = f.seal([]byte(pin), sealedPIN, t.ActionID, t.DeviceID); err != nil {
			return nil, err
		}
	}
	if err := tx.PutTarget(*t); err != nil {
		return nil, err
	}
	return t, tx.wake(t.DeviceID)
}

const unsupported = "there is no such action for devices of this platform"

// finish closes a target for good, and its action with the last one.
func finish(tx *txn, t *TargetRow, state adminapi.TargetState, message string) error {
	t.State, t.Message, t.FinishedAt = state, message, tx.now
	if t.CommandUUID != "" {
		if err := tx.DeleteCommand(t.CommandUUID); err != nil {
			return err
		}
	}
	t.Offer = Offer{}
	if err := tx.PutTarget(*t); err != nil {
		return err
	}
	tx.touch(adminapi.KindAction, string(t.Action))
	return tx.FinishAction(t.ActionID, tx.now)
}

// CancelAction closes the targets of the key's newest action that no device holds. An unknown action is no error.
func (f *Fleet) CancelAction(ctx context.Context, key adminapi.Key) error {
	return f.update(ctx, func(tx *txn) error {
		action, err := tx.Action(key, "")
		if err != nil || action == nil {
			return err
		}
		open, err := tx.OpenTargetsOf(action.ID)
		if err != nil {
			return err
		}
		for _, t := range open {
			if t.State == adminapi.TargetDelivered {
				continue
			}
			if err := finish(tx, &t, adminapi.TargetCanceled, "canceled before the device took it"); err != nil {
				return err
			}
		}
		return nil
	})
}

// Action returns the state of the key's newest action. Error: adminapi.CodeNotFound.
func (f *Fleet) Action(ctx context.Context, key adminapi.Key) (*adminapi.ActionStatus, error) {
	var status *adminapi.ActionStatus
	err := f.view(ctx, func(tx *txn) error {
		row, err := knownAction(tx, key)
		if err != nil {
			return err
		}
		status, err = f.actionStatus(tx, row)
		return err
	})
	return status, err
}

// ActionResults lists the results of the key's newest action by device, without bodies and PINs. Error: adminapi.CodeNotFound.
func (f *Fleet) ActionResults(ctx context.Context, key adminapi.Key, after string, limit int) (*adminapi.Page[adminapi.ActionResult], error) {
	return page(ctx, f, limit, func(tx *txn, limit int) ([]TargetRow, error) {
		action, err := knownAction(tx, key)
		if err != nil {
			return nil, err
		}
		return tx.Targets(action.ID, after, limit)
	}, func(_ *txn, t *TargetRow) (adminapi.ActionResult, string, error) {
		return t.result(), t.DeviceID, nil
	})
}

// ActionResult returns one result of the key's newest action with its body and PIN. Error: adminapi.CodeNotFound.
func (f *Fleet) ActionResult(ctx context.Context, key adminapi.Key, deviceID string) (*adminapi.ActionResult, error) {
	var result adminapi.ActionResult
	err := f.view(ctx, func(tx *txn) error {
		action, err := knownAction(tx, key)
		if err != nil {
			return err
		}
		t, err := tx.Target(action.ID, deviceID)
		if err != nil {
			return err
		}
		if t == nil {
			return &adminapi.Error{Code: adminapi.CodeNotFound, Message: "the action has no such target"}
		}
		result = t.result()
		if result.Body, err = f.open(t.Body, sealedResult, t.ActionID, t.DeviceID); err != nil {
			return err
		}
		pin, err := f.open(t.PIN, sealedPIN, t.ActionID, t.DeviceID)
		result.PIN = string(pin)
		return err
	})
	return &result, err
}

// ListActions lists the newest action of each key.
func (f *Fleet) ListActions(ctx context.Context, after string, limit int) (*adminapi.Page[adminapi.ActionStatus], error) {
	return page(ctx, f, limit, func(tx *txn, limit int) ([]ActionRow, error) {
		return tx.Actions(after, limit)
	}, func(tx *txn, a *ActionRow) (adminapi.ActionStatus, string, error) {
		status, err := f.actionStatus(tx, a)
		if err != nil {
			return adminapi.ActionStatus{}, "", err
		}
		return *status, string(a.Key), nil
	})
}

func knownAction(tx *txn, key adminapi.Key) (*ActionRow, error) {
	row, err := tx.Action(key, "")
	if err == nil && row == nil {
		err = &adminapi.Error{Code: adminapi.CodeNotFound, Message: "no action has this key"}
	}
	return row, err
}

func (f *Fleet) actionStatus(tx *txn, a *ActionRow) (*adminapi.ActionStatus, error) {
	counts, latest, err := tx.Outcomes(a.ID, adminapi.MaxInlineResults)
	if err != nil {
		return nil, err
	}
	status := &adminapi.ActionStatus{
		Key: a.Key, SpecHash: a.SpecHash, Counts: counts, CreatedAt: a.CreatedAt, FinishedAt: a.FinishedAt,
		Held: a.FinishedAt.IsZero() && f.unconfirmed(a.RequestType, a.WantedEpoch),
	}
	for _, n := range counts {
		status.Total += n
	}
	for _, t := range latest {
		status.Results = append(status.Results, t.result())
	}
	return status, nil
}

func (t *TargetRow) result() adminapi.ActionResult {
	return adminapi.ActionResult{
		DeviceID: t.DeviceID, EnrollmentID: t.EnrollmentID, State: t.State, Message: t.Message, DeliveredAt: t.DeliveredAt, FinishedAt: t.FinishedAt,
		HasPIN: t.PIN != nil,
	}
}

// clip cuts a text to at most n bytes of valid UTF-8.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
