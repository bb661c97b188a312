package store

import (
	"fmt"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

var history = newTable("history", 1,
	[]string{"seq", "at", "device_id", "channel", "type", "artifact", "action", "request_type", "command_uuid", "message"},
	func(r *adminapi.HistoryEntry) []any {
		return []any{&r.Seq, micros{&r.At}, &r.DeviceID, &r.Channel, &r.Type, &r.Artifact, &r.Action, &r.RequestType, &r.CommandUUID, &r.Message}
	})

func (t *tx) AppendHistory(e adminapi.HistoryEntry) error { return history.put(t, e) }

func (t *tx) HistoryOf(deviceID string, limit int) ([]adminapi.HistoryEntry, error) {
	return history.list(t, "device_id = $1 ORDER BY seq DESC LIMIT $2", deviceID, limit)
}

func (t *tx) HistoryAfter(seq int64, limit int) ([]adminapi.HistoryEntry, error) {
	return history.list(t, "seq > $1 ORDER BY seq LIMIT $2", seq, limit)
}

func (t *tx) LastHistory() (int64, error) {
	return t.number("SELECT COALESCE(MAX(seq), 0) FROM history")
}

func (t *tx) DeleteHistory(before time.Time, limit int) (int, error) {
	done, err := t.ExecContext(t.ctx, "DELETE FROM history WHERE at < $1 AND seq IN (SELECT seq FROM history ORDER BY seq LIMIT $2)", toMicros(before), limit)
	if err != nil {
		return 0, fmt.Errorf("deleting history: %w", err)
	}
	n, err := done.RowsAffected()
	return int(n), err
}

func (t *tx) TrimHistory(deviceID string, keep int) error {
	return t.exec(`DELETE FROM history WHERE device_id = $1
		AND seq <= (SELECT seq FROM history WHERE device_id = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2)`, deviceID, keep)
}

// The parts of fleet.ProgressRow, each a select over several tables.
var (
	wanted = newTable("states s JOIN devices d ON d.id = s.device_id JOIN artifacts a ON a.key = s.artifact_key", 0,
		[]string{
			"0", "a.identifier", "s.channel_id", "s.artifact_key", "s.device_id", "s.digest", "s.outcome", "s.message", "s.since",
			"s.offer", "s.command_uuid", "s.attempts", "s.next_attempt", "d.last_seen", responding,
		}, progressFields)
	// leaving counts the nodes of an artifact for Windows as one, which its key identifies.
	leaving = newTable("records r JOIN devices d ON d.id = r.device_id", 0,
		[]string{
			"1", "CASE MIN(d.platform) WHEN 'Windows' THEN MIN(r.artifact_key) ELSE MIN(r.identifier) END", "r.channel_id", "MIN(r.artifact_key)", "MIN(r.device_id)",
			"MAX(r.digest)", "''", "''", "0", "MAX(r.offer)", "MAX(r.command_uuid)", "MAX(r.attempts)", "MAX(r.next_attempt)", "MIN(d.last_seen)",
			"MIN(CASE WHEN " + responding + " THEN 1 ELSE 0 END) = 1",
		}, progressFields)
	unreached = newTable("assignments x JOIN devices d ON d.id = x.device_id", 0,
		[]string{"2", "''", "''", "x.artifact_key", "x.device_id", "''", "''", "''", "0", "''", "''", "0", "0", "d.last_seen", responding}, progressFields)
)

const (
	responding = "d.state <> 'Ended' AND NOT d.silent"
	// isLeaving holds for records without a state, hasNoState for assignments.
	isLeaving  = "NOT EXISTS (SELECT 1 FROM states s WHERE s.channel_id = r.channel_id AND s.artifact_key = r.artifact_key)"
	hasNoState = "NOT EXISTS (SELECT 1 FROM states s WHERE s.artifact_key = x.artifact_key AND s.device_id = x.device_id)"
)

func progressFields(r *fleet.ProgressRow) []any {
	return append(append([]any{&r.Part, &r.Identifier, &r.ChannelID, &r.Artifact, &r.DeviceID, &r.Digest, &r.Outcome, &r.Message, micros{&r.Since}},
		offerFields(&r.Offer)...), micros{&r.LastSeen}, &r.Responding)
}

func (t *tx) ProgressOf(deviceID string) ([]fleet.ProgressRow, error) {
	const channels = "channel_id IN (SELECT id FROM channels WHERE device_id = $1) "
	return concat(
		func() ([]fleet.ProgressRow, error) {
			return wanted.list(t, "s."+channels+"ORDER BY s.channel_id, s.artifact_key", deviceID)
		},
		func() ([]fleet.ProgressRow, error) {
			return leaving.list(t, "r."+channels+"AND "+isLeaving+" GROUP BY r.channel_id, r.artifact_key ORDER BY r.channel_id, r.artifact_key", deviceID)
		},
		func() ([]fleet.ProgressRow, error) {
			return unreached.list(t, "x.device_id = $1 AND "+hasNoState+" ORDER BY x.artifact_key", deviceID)
		})
}

// Progress walks an index for each part, so that a page costs the same wherever it is.
func (t *tx) Progress(artifact adminapi.Key, after fleet.ProgressPlace, limit int) ([]fleet.ProgressRow, error) {
	const managed = " AND d.intent <> 'Ignore' "
	var found []fleet.ProgressRow
	for part := after.Part; part <= fleet.ProgressUnreached; part++ {
		var rows []fleet.ProgressRow
		var err error
		switch left := limit - len(found); part {
		case fleet.ProgressWanted:
			rows, err = wanted.list(t, "s.artifact_key = $1 AND s.device_id >= $2 AND (s.device_id > $2 OR s.channel_id > $3)"+managed+
				"ORDER BY s.device_id, s.channel_id LIMIT $4", artifact, after.DeviceID, after.ChannelID, left)
		case fleet.ProgressRemoving:
			rows, err = leaving.list(t, "r.artifact_key = $1 AND r.channel_id > $2 AND "+isLeaving+managed+
				"GROUP BY r.channel_id ORDER BY r.channel_id LIMIT $3", artifact, after.ChannelID, left)
		case fleet.ProgressUnreached:
			rows, err = unreached.list(t, "x.artifact_key = $1 AND x.device_id > $2 AND "+hasNoState+managed+"ORDER BY x.device_id LIMIT $3",
				artifact, after.DeviceID, left)
		}
		if err != nil {
			return nil, err
		}
		if found = append(found, rows...); len(found) >= limit {
			break
		}
		after = fleet.ProgressPlace{}
	}
	return found, nil
}

// concat joins what several statements find.
func concat[T any](lists ...func() ([]T, error)) ([]T, error) {
	var all []T
	for _, list := range lists {
		rows, err := list()
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}
