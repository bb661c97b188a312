package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

var (
	actions = newTable("actions", 1,
		[]string{"id", "key", "spec_hash", "request_type", "command", "deadline", "created_at", "finished_at", "seq", "wanted_epoch"},
		func(r *fleet.ActionRow) []any {
			return []any{&r.ID, &r.Key, &r.SpecHash, &r.RequestType, &r.Command, micros{&r.Deadline}, micros{&r.CreatedAt}, micros{&r.FinishedAt}, &r.Seq,
				&r.WantedEpoch}
		})
	targets = newTable("targets", 2,
		append([]string{"action_id", "device_id", "action_key", "enrollment_id", "request_type", "deadline", "seq", "state", "message", "delivered_at", "finished_at",
			"pin", "body", "accepted"}, offerColumns...),
		func(r *fleet.TargetRow) []any {
			return append([]any{&r.ActionID, &r.DeviceID, &r.Action, &r.EnrollmentID, &r.RequestType, micros{&r.Deadline}, &r.Seq, &r.State, &r.Message,
				micros{&r.DeliveredAt}, micros{&r.FinishedAt}, &r.PIN, &r.Body, &r.Accepted}, offerFields(&r.Offer)...)
		})
)

// waiting are the open targets with what they need of their action.
var waiting = newTable("targets t JOIN actions a ON a.id = t.action_id", 0,
	append(qualified("t", targets.columns), "a.command", "a.wanted_epoch"),
	func(r *fleet.OpenTarget) []any {
		return append(targets.fields(&r.TargetRow), &r.Command, &r.WantedEpoch)
	})

func (t *tx) Action(key adminapi.Key, specHash string) (*fleet.ActionRow, error) {
	return actions.get(t, "key = $1 AND ($2 = '' OR spec_hash = $2) ORDER BY seq DESC LIMIT 1", key, specHash)
}

func (t *tx) ActionByID(id string) (*fleet.ActionRow, error) { return actions.get(t, "id = $1", id) }

func (t *tx) Actions(after string, limit int) ([]fleet.ActionRow, error) {
	return actions.list(t, `key > $1 AND seq = (SELECT MAX(n.seq) FROM actions n WHERE n.key = actions.key)
		ORDER BY key LIMIT $2`, after, limit)
}

func (t *tx) PutAction(r fleet.ActionRow) error { return actions.put(t, r) }

func (t *tx) DeleteActions(finishedBefore time.Time) error {
	before := toMicros(finishedBefore)
	if err := t.exec("DELETE FROM targets WHERE action_id IN (SELECT id FROM actions WHERE finished_at > 0 AND finished_at < $1)", before); err != nil {
		return err
	}
	return t.exec("DELETE FROM actions WHERE finished_at > 0 AND finished_at < $1", before)
}

func (t *tx) ExcessActions(keep int) (time.Time, error) {
	newest, err := t.number("SELECT finished_at FROM actions WHERE finished_at > 0 ORDER BY finished_at DESC LIMIT 1 OFFSET $1", keep)
	if err != nil || newest == 0 {
		return time.Time{}, err
	}
	return fromMicros(newest + 1), nil
}

func (t *tx) TrimResults(deviceID string, keep int) error {
	return t.exec(`UPDATE targets SET body = NULL WHERE device_id = $1 AND body IS NOT NULL AND finished_at <= (
		SELECT n.finished_at FROM targets n WHERE n.device_id = $1 AND n.body IS NOT NULL ORDER BY n.finished_at DESC LIMIT 1 OFFSET $2)`, deviceID, keep)
}

func (t *tx) Target(actionID, deviceID string) (*fleet.TargetRow, error) {
	return targets.get(t, "action_id = $1 AND device_id = $2", actionID, deviceID)
}

func (t *tx) Targets(actionID, after string, limit int) ([]fleet.TargetRow, error) {
	return targets.list(t, "action_id = $1 AND device_id > $2 ORDER BY device_id LIMIT $3", actionID, after, limit)
}

func (t *tx) PutTarget(r fleet.TargetRow) error { return targets.put(t, r) }

func (t *tx) OpenTargets(deviceID string) ([]fleet.TargetRow, error) {
	return targets.list(t, openTargets, deviceID)
}

func (t *tx) OpenTargetsOf(actionID string) ([]fleet.TargetRow, error) {
	return targets.list(t, "action_id = $1 AND finished_at = 0 ORDER BY device_id", actionID)
}

func (t *tx) FinishAction(actionID string, at time.Time) error {
	return t.exec("UPDATE actions SET finished_at = $2 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM targets WHERE action_id = $1 AND finished_at = 0)",
		actionID, toMicros(at))
}

func (t *tx) OverdueTargets(now time.Time, limit int) ([]fleet.TargetRow, error) {
	return targets.list(t, "finished_at = 0 AND deadline > 0 AND deadline <= $1 ORDER BY deadline LIMIT $2", toMicros(now), limit)
}

func (t *tx) UnansweredTargets(requestTypes []string, deliveredBefore time.Time, limit int) ([]fleet.TargetRow, error) {
	params := make([]string, len(requestTypes))
	args := []any{toMicros(deliveredBefore), limit}
	for i, rt := range requestTypes {
		params[i] = "$" + strconv.Itoa(i+3)
		args = append(args, rt)
	}
	return targets.list(t, "state = 'Delivered' AND delivered_at < $1 AND request_type IN ("+strings.Join(params, ", ")+") ORDER BY delivered_at LIMIT $2", args...)
}

func (t *tx) Outcomes(actionID string, limit int) (counts map[adminapi.TargetState]int, latest []fleet.TargetRow, err error) {
	counts = map[adminapi.TargetState]int{}
	count := statement{"SELECT state, COUNT(*) FROM targets WHERE action_id = $1 GROUP BY state", []any{actionID}, func(r rows) error {
		for r.Next() {
			var state adminapi.TargetState
			var n int
			if err := r.Scan(&state, &n); err != nil {
				return err
			}
			counts[state] = n
		}
		return nil
	}}
	err = t.read(count, targets.all(&latest, "action_id = $1 ORDER BY finished_at DESC, device_id LIMIT $2", actionID, limit))
	return counts, latest, err
}
