package store

import (
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

var (
	artifacts = newTable("artifacts", 1,
		[]string{"key", "scope", "identifier", "digest", "template", "sign", "withdrawn", "platform"},
		func(r *fleet.ArtifactRow) []any {
			return []any{&r.Key, &r.Scope, &r.Identifier, &r.Digest, &r.Template, &r.Sign, &r.Withdrawn, &r.Platform}
		})
	states = newTable("states", 2,
		append([]string{"channel_id", "artifact_key", "device_id", "digest", "outcome", "message", "since", "verify_at"}, offerColumns...),
		func(r *fleet.StateRow) []any {
			return append([]any{&r.ChannelID, &r.Artifact, &r.DeviceID, &r.Digest, &r.Outcome, &r.Message, micros{&r.Since}, micros{&r.VerifyAt}}, offerFields(&r.Offer)...)
		})
	records = newTable("records", 2,
		append([]string{"channel_id", "identifier", "device_id", "artifact_key", "digest"}, offerColumns...),
		func(r *fleet.RecordRow) []any {
			return append([]any{&r.ChannelID, &r.Identifier, &r.DeviceID, &r.Artifact, &r.Digest}, offerFields(&r.Offer)...)
		})
	commands = newTable("commands", 3,
		[]string{"channel_id", "kind", "key", "uuid", "digest", "identifier"},
		func(r *fleet.CommandRow) []any {
			return []any{&r.ChannelID, &r.Kind, &r.Key, &r.UUID, &r.Digest, &r.Identifier}
		})
)

var offerColumns = []string{"offer", "command_uuid", "attempts", "next_attempt"}

func offerFields(o *fleet.Offer) []any {
	return []any{&o.State, &o.CommandUUID, &o.Attempts, micros{&o.NextAttempt}}
}

func (t *tx) Artifact(key adminapi.Key) (*fleet.ArtifactRow, error) {
	return artifacts.get(t, "key = $1", key)
}

func (t *tx) ArtifactByIdentifier(scope adminapi.Scope, identifier string) (*fleet.ArtifactRow, error) {
	return artifacts.get(t, "scope = $1 AND identifier = $2 AND NOT withdrawn", scope, identifier)
}

func (t *tx) Artifacts(after string, limit int) ([]fleet.ArtifactRow, error) {
	return artifacts.list(t, "key > $1 ORDER BY key LIMIT $2", after, limit)
}

func (t *tx) PutArtifact(r fleet.ArtifactRow) error { return artifacts.put(t, r) }

func (t *tx) DeleteArtifact(key adminapi.Key) error {
	if err := t.PutNodes(key, nil); err != nil {
		return err
	}
	return t.exec("DELETE FROM artifacts WHERE key = $1", key)
}

// ArtifactCounts groups by device, since one with several user channels counts by its worst.
func (t *tx) ArtifactCounts(key adminapi.Key) (fleet.ArtifactCounts, error) {
	var c fleet.ArtifactCounts
	err := t.scan(`SELECT
			(SELECT COUNT(*) FROM assignments x JOIN devices d ON d.id = x.device_id WHERE x.artifact_key = $1 AND d.intent <> 'Ignore'),
			COALESCE(SUM(CASE WHEN worst = 0 THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN worst = 2 THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN worst = 3 THEN 1 ELSE 0 END), 0),
			(SELECT COUNT(DISTINCT r.device_id) FROM records r JOIN devices d ON d.id = r.device_id
				WHERE r.artifact_key = $1 AND d.intent <> 'Ignore'
				AND NOT EXISTS (SELECT 1 FROM states s WHERE s.channel_id = r.channel_id AND s.artifact_key = r.artifact_key))
		FROM (SELECT MAX(CASE s.outcome WHEN 'Failed' THEN 3 WHEN 'NotNow' THEN 2 WHEN 'Pending' THEN 1 ELSE 0 END) AS worst
			FROM states s JOIN devices d ON d.id = s.device_id
			WHERE s.artifact_key = $1 AND d.intent <> 'Ignore' GROUP BY s.device_id) AS by_device`, []any{key},
		&c.Targeted, &c.Installed, &c.NotNow, &c.Failed, &c.Removing)
	return c, err
}

func (t *tx) AssignmentsOf(deviceID string) ([]adminapi.Key, error) {
	return column[adminapi.Key](t, "SELECT artifact_key FROM assignments WHERE device_id = $1 ORDER BY artifact_key", deviceID)
}

func (t *tx) RecordedArtifacts(deviceID string) ([]adminapi.Key, error) {
	return column[adminapi.Key](t, `SELECT DISTINCT r.artifact_key FROM channels c JOIN records r ON r.channel_id = c.id
		WHERE c.device_id = $1 ORDER BY r.artifact_key`, deviceID)
}

// Conditions of what waits for a device or a channel. A record is a stray if no artifact assigned to its channel has its identifier, or a node of it.
const (
	openTargets  = "device_id = $1 AND finished_at = 0 ORDER BY seq"
	openStates   = "channel_id = $1 AND outcome IN ('Pending', 'NotNow') ORDER BY artifact_key"
	strayRecords = `channel_id = $1 AND NOT EXISTS (
		SELECT 1 FROM states s JOIN artifacts a ON a.key = s.artifact_key
		WHERE s.channel_id = records.channel_id AND (a.identifier = records.identifier
			OR EXISTS (SELECT 1 FROM artifact_nodes n WHERE n.artifact_key = a.key AND n.loc_uri = records.identifier))) ORDER BY identifier`
)

// Work reads the three lists together.
func (t *tx) Work(deviceID, channelID string) (*fleet.WorkRows, error) {
	w := &fleet.WorkRows{}
	return w, t.read(work(w, deviceID, channelID)...)
}

func work(w *fleet.WorkRows, deviceID, channelID string) []statement {
	return []statement{
		waiting.all(&w.Targets, "t.device_id = $1 AND t.finished_at = 0 ORDER BY t.seq", deviceID),
		records.all(&w.Strays, strayRecords, channelID),
		states.all(&w.Open, openStates, channelID),
	}
}

func (t *tx) PutAssignment(deviceID string, artifact adminapi.Key) error {
	return t.exec("INSERT INTO assignments (device_id, artifact_key) VALUES ($1, $2) ON CONFLICT DO NOTHING", deviceID, artifact)
}

func (t *tx) DeleteAssignment(deviceID string, artifact adminapi.Key) error {
	return t.exec("DELETE FROM assignments WHERE device_id = $1 AND artifact_key = $2", deviceID, artifact)
}

func (t *tx) DeleteAssignmentsOf(artifact adminapi.Key) error {
	return t.exec("DELETE FROM assignments WHERE artifact_key = $1", artifact)
}

func (t *tx) State(channelID string, artifact adminapi.Key) (*fleet.StateRow, error) {
	return states.get(t, "channel_id = $1 AND artifact_key = $2", channelID, artifact)
}

func (t *tx) OpenStates(channelID string) ([]fleet.StateRow, error) {
	return states.list(t, openStates, channelID)
}

func (t *tx) PutState(r fleet.StateRow) error { return states.put(t, r) }

// seedStates takes a further condition on x (assignments), with $2 in it.
const seedStates = `INSERT INTO states (channel_id, artifact_key, device_id, digest, outcome, message, since, offer, command_uuid, attempts, next_attempt)
	SELECT c.id, a.key, c.device_id, a.digest, CASE WHEN r.digest = a.digest AND r.command_uuid = '' THEN 'Installed' ELSE 'Pending' END, '', $1, '', '', 0, 0
	FROM assignments x
	JOIN artifacts a ON a.key = x.artifact_key AND NOT a.withdrawn
	JOIN devices d ON d.id = x.device_id AND d.platform = a.platform
	JOIN channels c ON c.device_id = x.device_id AND c.enabled AND c.scope = a.scope
	LEFT JOIN records r ON r.channel_id = c.id AND r.identifier = a.identifier AND r.artifact_key = a.key
	WHERE `

func (t *tx) SeedDevice(deviceID string, now time.Time) error {
	return t.exec(seedStates+"x.device_id = $2 ON CONFLICT DO NOTHING", toMicros(now), deviceID)
}

func (t *tx) SeedArtifact(key adminapi.Key, now time.Time) error {
	return t.exec(seedStates+"x.artifact_key = $2 ON CONFLICT DO NOTHING", toMicros(now), key)
}

func (t *tx) DropUnassigned(deviceID string) error {
	return t.exec(`DELETE FROM states WHERE channel_id IN (SELECT id FROM channels WHERE device_id = $1)
		AND artifact_key NOT IN (SELECT artifact_key FROM assignments WHERE device_id = $1)`, deviceID)
}

func (t *tx) DeleteStatesOf(artifact adminapi.Key) error {
	return t.exec("DELETE FROM states WHERE artifact_key = $1", artifact)
}

func (t *tx) ResetStates(artifact adminapi.Key, digest string, now time.Time) error {
	return t.exec(`UPDATE states SET digest = $2, outcome = 'Pending', message = '', since = $3, offer = '', command_uuid = '', attempts = 0, next_attempt = 0, verify_at = 0
		WHERE artifact_key = $1 AND digest <> $2`, artifact, digest, toMicros(now))
}

func (t *tx) FailingOf(deviceID string, limit int) ([]fleet.StateRow, error) {
	return states.list(t, "device_id = $1 AND outcome = 'Failed' ORDER BY since, artifact_key LIMIT $2", deviceID, bound(limit))
}

func (t *tx) FailingDevices(artifact adminapi.Key, limit int) ([]fleet.StateRow, error) {
	return states.list(t, `artifact_key = $1 AND outcome = 'Failed'
		AND EXISTS (SELECT 1 FROM devices d WHERE d.id = states.device_id AND d.intent <> 'Ignore')
		ORDER BY since, device_id LIMIT $2`, artifact, bound(limit))
}

func (t *tx) CountFailing(deviceID string) (int, error) {
	n, err := t.number("SELECT COUNT(DISTINCT artifact_key) FROM states WHERE device_id = $1 AND outcome = 'Failed'", deviceID)
	return int(n), err
}

func (t *tx) Record(channelID, identifier string) (*fleet.RecordRow, error) {
	return records.get(t, "channel_id = $1 AND identifier = $2", channelID, identifier)
}

func (t *tx) PutRecord(r fleet.RecordRow) error { return records.put(t, r) }

func (t *tx) DeleteRecord(channelID, identifier string) error {
	return t.exec("DELETE FROM records WHERE channel_id = $1 AND identifier = $2", channelID, identifier)
}

func (t *tx) DeleteRecordsOf(artifact adminapi.Key) error {
	return t.exec("DELETE FROM records WHERE artifact_key = $1", artifact)
}

func (t *tx) CountRecords(artifact adminapi.Key) (int, error) {
	n, err := t.number("SELECT COUNT(*) FROM records WHERE artifact_key = $1", artifact)
	return int(n), err
}

func (t *tx) Command(uuid string) (*fleet.CommandRow, error) {
	return commands.get(t, "uuid = $1", uuid)
}

func (t *tx) PutCommand(r fleet.CommandRow) error { return commands.put(t, r) }

func (t *tx) DeleteCommand(uuid string) error {
	return t.exec("DELETE FROM commands WHERE uuid = $1", uuid)
}

func (t *tx) ClearChannel(channelID string) error {
	for _, table := range []string{"states", "records", "commands"} {
		if err := t.exec("DELETE FROM "+table+" WHERE channel_id = $1", channelID); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) ClearDevice(deviceID string) error {
	for _, table := range []string{"states", "records", "commands"} {
		if err := t.exec("DELETE FROM "+table+" WHERE channel_id IN (SELECT id FROM channels WHERE device_id = $1)", deviceID); err != nil {
			return err
		}
	}
	if err := t.exec("DELETE FROM windows_sessions WHERE device_id = $1", deviceID); err != nil {
		return err
	}
	return t.exec("DELETE FROM assignments WHERE device_id = $1", deviceID)
}

func (t *tx) Reoffer(channelID string) error {
	for _, q := range []string{
		"UPDATE states SET offer = '' WHERE channel_id = $1 AND offer <> ''",
		"UPDATE records SET offer = '' WHERE channel_id = $1 AND offer <> ''",
		"UPDATE targets SET offer = '' WHERE device_id = $1 AND finished_at = 0 AND offer <> ''",
	} {
		if err := t.exec(q, channelID); err != nil {
			return err
		}
	}
	return nil
}
