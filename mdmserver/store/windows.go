package store

import (
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

var (
	agents = newTable("agents", 1,
		[]string{"node_key_hash", "hardware_uuid", "serial_number", "token", "created_at", "device_id"},
		func(r *fleet.AgentRow) []any {
			return []any{&r.NodeKeyHash, &r.HardwareUUID, &r.SerialNumber, &r.Token, micros{&r.CreatedAt}, &r.DeviceID}
		})
	sessions = newTable("windows_sessions", 1,
		[]string{"device_id", "session_id", "msg_id", "state", "updated_at"},
		func(r *fleet.SessionRow) []any {
			return []any{&r.DeviceID, &r.SessionID, &r.MsgID, &r.State, micros{&r.UpdatedAt}}
		})
)

func (t *tx) Agent(nodeKeyHash string) (*fleet.AgentRow, error) {
	return agents.get(t, "node_key_hash = $1", nodeKeyHash)
}

func (t *tx) AgentsOn(hardwareUUID string) ([]fleet.AgentRow, error) {
	return agents.list(t, "hardware_uuid = $1 AND hardware_uuid <> '' ORDER BY created_at, node_key_hash", hardwareUUID)
}

func (t *tx) PutAgent(r fleet.AgentRow) error { return agents.put(t, r) }

func (t *tx) DeleteAgent(nodeKeyHash string) error {
	return t.exec("DELETE FROM agents WHERE node_key_hash = $1", nodeKeyHash)
}

// toEnrol is true for an agent (a) that is to enrol its device (d). One whose enrolment an administrator ended waits until it is installed anew.
const toEnrol = "(d.id IS NULL OR (d.state = 'Ended' AND d.end_reason <> 'Unenrolled'))"

// agentsToEnrol begins a statement that deletes such agents, a condition more to come.
const agentsToEnrol = `DELETE FROM agents WHERE node_key_hash IN (
	SELECT a.node_key_hash FROM agents a LEFT JOIN devices d ON d.id = a.device_id WHERE ` + toEnrol + `) AND `

func (t *tx) DeleteAgentsToEnrol(token adminapi.Key) error {
	return t.exec(agentsToEnrol+"token = $1", token)
}

func (t *tx) DeleteStrandedAgents(createdBefore, now time.Time) error {
	return t.exec(agentsToEnrol+`(created_at < $1 OR token NOT IN (
		SELECT key FROM tokens WHERE (expires_at = 0 OR expires_at > $2) AND (max_uses = 0 OR uses < max_uses)))`, toMicros(createdBefore), toMicros(now))
}

// agentViews joins agents with the device that each enrolled.
const agentViews = `SELECT a.node_key_hash,
		` + toEnrol + `,
		COALESCE(d.state <> 'Ended' AND d.intent = 'Unenroll', FALSE),
		COALESCE((SELECT MIN(c.wake_at) FROM channels c WHERE c.device_id = d.id AND c.enabled AND c.wake_at > 0 AND d.intent <> 'Ignore'), 0)
	FROM agents a LEFT JOIN devices d ON d.id = a.device_id
	WHERE $1 = '' OR a.node_key_hash = $1`

func (t *tx) AgentViews(nodeKeyHash string) ([]fleet.AgentView, error) {
	var views []fleet.AgentView
	err := t.each(agentViews, []any{nodeKeyHash}, func(r rows) error {
		var v fleet.AgentView
		err := r.Scan(&v.NodeKeyHash, &v.Enroll, &v.Unenroll, micros{&v.WakeAt})
		views = append(views, v)
		return err
	})
	return views, err
}

func (t *tx) Nodes(artifact adminapi.Key) ([]string, error) {
	return column[string](t, "SELECT loc_uri FROM artifact_nodes WHERE artifact_key = $1 ORDER BY loc_uri", artifact)
}

func (t *tx) PutNodes(artifact adminapi.Key, nodes []string) error {
	if err := t.exec("DELETE FROM artifact_nodes WHERE artifact_key = $1", artifact); err != nil {
		return err
	}
	for _, node := range nodes {
		if err := t.exec("INSERT INTO artifact_nodes (artifact_key, loc_uri) VALUES ($1, $2) ON CONFLICT DO NOTHING", artifact, node); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) AssignedArtifacts(channelID string) ([]fleet.ArtifactRow, error) {
	return artifacts.list(t, `NOT withdrawn AND key IN (
			SELECT x.artifact_key FROM assignments x JOIN channels c ON c.device_id = x.device_id WHERE c.id = $1)
		AND (scope, platform) = (SELECT c.scope, d.platform FROM channels c JOIN devices d ON d.id = c.device_id WHERE c.id = $1)
		ORDER BY key`, channelID)
}

func (t *tx) StatesToVerify(channelID string, now time.Time) ([]fleet.StateRow, error) {
	return states.list(t, "channel_id = $1 AND outcome = 'Installed' AND verify_at > 0 AND verify_at <= $2 ORDER BY artifact_key", channelID, toMicros(now))
}

func (t *tx) Records(channelID string) ([]fleet.RecordRow, error) {
	return records.list(t, "channel_id = $1 ORDER BY identifier", channelID)
}

func (t *tx) Session(deviceID string) (*fleet.SessionRow, error) {
	return sessions.get(t, "device_id = $1", deviceID)
}

func (t *tx) PutSession(r fleet.SessionRow) error { return sessions.put(t, r) }
