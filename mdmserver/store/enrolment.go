package store

import (
	"maps"
	"slices"
	"time"

	"github.com/kubemdm/kubemdm/internal/adminapi"
	"github.com/kubemdm/kubemdm/mdmserver/fleet"
)

var (
	tokens = newTable("tokens", 1,
		[]string{"key", "hash", "expires_at", "max_uses", "labels_json", "serial_number", "udid", "uses", "last_used", "platforms_json"},
		func(r *fleet.TokenRow) []any {
			return []any{&r.Key, &r.Hash, micros{&r.ExpiresAt}, &r.MaxUses, jsonText{&r.Labels}, &r.SerialNumber, &r.UDID, &r.Uses, micros{&r.LastUsed}, jsonText{&r.Platforms}}
		})
	challenges = newTable("challenges", 1,
		[]string{"secret_hash", "enrollment_id", "renewal", "token", "params_json", "expires_at", "public_key", "certificate", "user_principal_name", "automated",
			"serial_number"},
		func(r *fleet.ChallengeRow) []any {
			return []any{&r.SecretHash, &r.EnrollmentID, &r.Renewal, &r.Token, jsonText{&r.Params}, micros{&r.ExpiresAt}, &r.PublicKey, &r.Certificate, &r.UserPrincipalName,
				&r.Automated, &r.SerialNumber}
		})
	enrollments = newTable("enrollments", 1,
		[]string{"id", "device_id", "token", "labels_json", "serial_number", "udid", "params_json", "issued_at", "automated", "user_principal_name"},
		func(r *fleet.EnrollmentRow) []any {
			return []any{&r.ID, &r.DeviceID, &r.Token, jsonText{&r.Labels}, &r.SerialNumber, &r.UDID, jsonText{&r.Params}, micros{&r.IssuedAt},
				&r.Automated, &r.UserPrincipalName}
		})
	identities = newTable("identities", 1,
		[]string{"fingerprint", "enrollment_id", "not_before", "not_after", "reject_after", "public_key", "thumbprint"},
		func(r *fleet.IdentityRow) []any {
			return []any{&r.Fingerprint, &r.EnrollmentID, micros{&r.NotBefore}, micros{&r.NotAfter}, micros{&r.RejectAfter}, &r.PublicKey, &r.Thumbprint}
		})
	devices = newTable("devices", 1,
		[]string{"id", "kind", "state", "enrollment_id", "enrolled_at", "end_reason", "ended_at", "facts_json", "serial_number", "token", "token_labels_json",
			"bound", "params_json", "intent", "unenroll_at", "blocked_json", "fingerprint", "identity_not_before", "identity_not_after",
			"renew_at", "renewing_since", "last_seen", "silent", "bootstrap_token", "unlock_token", "platform", "user_principal_name", "digest_secret",
			"authentication", "last_error_json", "last_drift_json", "automated", "setup_json"},
		func(r *fleet.DeviceRow) []any {
			return []any{&r.ID, &r.Kind, &r.State, &r.EnrollmentID, micros{&r.EnrolledAt}, &r.EndReason, micros{&r.EndedAt}, jsonText{&r.Facts},
				&r.Facts.SerialNumber, &r.Token, jsonText{&r.TokenLabels}, &r.Bound, jsonText{&r.Params}, &r.Intent, micros{&r.UnenrollAt}, jsonText{&r.Blocked},
				&r.Fingerprint, micros{&r.IdentityNotBefore}, micros{&r.IdentityNotAfter}, micros{&r.RenewAt}, micros{&r.RenewingSince},
				micros{&r.LastSeen}, &r.Silent, &r.BootstrapToken, &r.UnlockToken, &r.Platform, &r.UserPrincipalName, &r.DigestSecret, &r.Authentication,
				jsonText{&r.LastError}, jsonText{&r.LastDrift}, &r.Automated, jsonText{&r.Setup}}
		})
	channels = newTable("channels", 1,
		[]string{"id", "device_id", "kind", "scope", "enabled", "tally", "push_token", "push_magic", "topic", "token_at", "unregistered", "wake_at", "wakes"},
		func(r *fleet.ChannelRow) []any {
			return []any{&r.ID, &r.DeviceID, &r.Kind, &r.Scope, &r.Enabled, &r.Tally, &r.PushToken, &r.PushMagic, &r.Topic, micros{&r.TokenAt},
				&r.Unregistered, micros{&r.WakeAt}, &r.Wakes}
		})
)

func (t *tx) Token(key adminapi.Key) (*fleet.TokenRow, error) { return tokens.get(t, "key = $1", key) }

func (t *tx) TokenByHash(hash string) (*fleet.TokenRow, error) {
	return tokens.get(t, "hash = $1 ORDER BY key", hash)
}

func (t *tx) Tokens(after string, limit int) ([]fleet.TokenRow, error) {
	return tokens.list(t, "key > $1 ORDER BY key LIMIT $2", after, limit)
}

func (t *tx) PutToken(r fleet.TokenRow) error { return tokens.put(t, r) }

func (t *tx) DeleteToken(key adminapi.Key) error {
	return t.exec("DELETE FROM tokens WHERE key = $1", key)
}

func (t *tx) Challenge(secretHash string) (*fleet.ChallengeRow, error) {
	return challenges.get(t, "secret_hash = $1", secretHash)
}

func (t *tx) PutChallenge(r fleet.ChallengeRow) error { return challenges.put(t, r) }

func (t *tx) DeleteChallenges(expiredBefore time.Time) error {
	return t.exec("DELETE FROM challenges WHERE expires_at < $1", toMicros(expiredBefore))
}

func (t *tx) Enrollment(id string) (*fleet.EnrollmentRow, error) {
	return enrollments.get(t, "id = $1", id)
}

func (t *tx) PutEnrollment(r fleet.EnrollmentRow) error { return enrollments.put(t, r) }

func (t *tx) DeleteUnusedEnrollments(issuedBefore time.Time) error {
	return t.exec("DELETE FROM enrollments WHERE device_id = '' AND issued_at < $1", toMicros(issuedBefore))
}

// Claim reads all together.
func (t *tx) Claim(q fleet.Contacted) (*fleet.ClaimRows, error) {
	c := &fleet.ClaimRows{}
	reads := []statement{
		devices.one(&c.Device, "id = $1", q.DeviceID),
		identities.one(&c.Identity, "fingerprint = $1", q.Fingerprint),
		enrollments.one(&c.Enrollment, "id = COALESCE(NULLIF($1, ''), (SELECT i.enrollment_id FROM identities i WHERE i.fingerprint = $2))", q.EnrollmentID, q.Fingerprint),
		channels.one(&c.Channel, "id = $1", q.ChannelID),
	}
	if q.CommandUUID != "" {
		reads = append(reads, commands.one(&c.Command, "uuid = $1", q.CommandUUID),
			targets.one(&c.Target, "device_id = $1 AND action_id = (SELECT c.key FROM commands c WHERE c.uuid = $2 AND c.kind = $3)", q.DeviceID, q.CommandUUID, fleet.CommandAction))
	}
	if q.Idle {
		c.Work = &fleet.WorkRows{}
		reads = append(reads, work(c.Work, q.DeviceID, q.ChannelID)...)
	}
	return c, t.read(reads...)
}

func (t *tx) Identity(fingerprint string) (*fleet.IdentityRow, error) {
	return identities.get(t, "fingerprint = $1", fingerprint)
}

func (t *tx) IdentityWithKey(publicKeySHA256 string) (*fleet.IdentityRow, error) {
	return identities.get(t, "public_key = $1 AND public_key <> '' ORDER BY not_before", publicKeySHA256)
}

func (t *tx) IdentityWithThumbprint(enrollmentID, thumbprint string) (*fleet.IdentityRow, error) {
	return identities.get(t, "enrollment_id = $1 AND thumbprint = $2 AND thumbprint <> ''", enrollmentID, thumbprint)
}

func (t *tx) PutIdentity(r fleet.IdentityRow) error { return identities.put(t, r) }

func (t *tx) RejectIdentities(enrollmentID, keep string, after time.Time) error {
	return t.exec(`UPDATE identities SET reject_after = $3
		WHERE enrollment_id = $1 AND fingerprint <> $2 AND (reject_after = 0 OR reject_after > $3)`, enrollmentID, keep, toMicros(after))
}

func (t *tx) DeleteIdentities(expiredBefore time.Time) error {
	return t.exec("DELETE FROM identities WHERE not_after < $1", toMicros(expiredBefore))
}

func (t *tx) Device(id string) (*fleet.DeviceRow, error) { return devices.get(t, "id = $1", id) }

func (t *tx) DeviceWithSerial(serial, otherThan string) (*fleet.DeviceRow, error) {
	return devices.get(t, "serial_number = $1 AND serial_number <> '' AND id <> $2 AND state <> 'Ended' ORDER BY state, id", serial, otherThan)
}

func (t *tx) Devices(after string, limit int) ([]fleet.DeviceRow, error) {
	return devices.list(t, "id > $1 ORDER BY id LIMIT $2", after, limit)
}

func (t *tx) PutDevice(r fleet.DeviceRow) error { return devices.put(t, r) }

// contactsAtOnce is how many devices one statement is about.
const contactsAtOnce = 1000

// SetLastSeen goes through devices in the order of their ids.
func (t *tx) SetLastSeen(seen map[string]time.Time) (returned []string, err error) {
	from := t.contacts()
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(seen)), contactsAtOnce) {
		contacts := make([][2]any, len(ids))
		for i, id := range ids {
			contacts[i] = [2]any{id, toMicros(seen[id])}
		}
		back, err := column[string](t, "SELECT d.id FROM "+from+" CROSS JOIN devices d WHERE d.id = c.id AND d.silent ORDER BY d.id", jsonText{contacts})
		if err != nil {
			return nil, err
		}
		returned = append(returned, back...)
		if err := t.exec("UPDATE devices SET last_seen = c.at, silent = FALSE FROM "+from+" WHERE devices.id = c.id AND devices.last_seen < c.at", jsonText{contacts}); err != nil {
			return nil, err
		}
	}
	return returned, nil
}

// contacts makes rows of the pairs of id and time that a parameter holds in JSON.
func (t *tx) contacts() string {
	if _, ok := t.session.(*pgTransaction); ok {
		return "(SELECT e->>0 AS id, CAST(e->>1 AS BIGINT) AS at FROM json_array_elements(CAST(CAST($1 AS TEXT) AS JSON)) AS e) AS c"
	}
	return "(SELECT json_extract(value, '$[0]') AS id, json_extract(value, '$[1]') AS at FROM json_each($1)) AS c"
}

func (t *tx) SilentDevices(before time.Time, limit int) ([]fleet.DeviceRow, error) {
	return devices.list(t, "state = 'Enrolled' AND NOT silent AND last_seen < $1 ORDER BY last_seen LIMIT $2", toMicros(before), limit)
}

func (t *tx) AbandonedDevices(before time.Time, limit int) ([]fleet.DeviceRow, error) {
	return devices.list(t, "platform = 'Windows' AND state = 'Pending' AND last_seen < $1 ORDER BY last_seen LIMIT $2", toMicros(before), limit)
}

// restful is the condition of devices whose own channel waits for nothing.
const restful = `state = 'Enrolled' AND intent <> 'Ignore' AND EXISTS (SELECT 1 FROM channels c WHERE c.id = devices.id AND c.enabled AND c.wake_at = 0)`

func (t *tx) QuietDevices(before time.Time, limit int) ([]fleet.DeviceRow, error) {
	return devices.list(t, restful+" AND NOT silent AND last_seen < $1 ORDER BY last_seen LIMIT $2", toMicros(before), limit)
}

func (t *tx) RenewableDevices(now time.Time, limit int) ([]fleet.DeviceRow, error) {
	return devices.list(t, restful+" AND platform = 'Apple' AND renew_at <= $1 ORDER BY renew_at LIMIT $2", toMicros(now), limit)
}

func (t *tx) FleetCounts() (fleet.FleetCounts, error) {
	var c fleet.FleetCounts
	err := t.scan(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN silent THEN 0 ELSE 1 END), 0),
			(SELECT COUNT(DISTINCT device_id) FROM channels WHERE enabled AND wake_at > 0)
		FROM devices WHERE state = 'Enrolled'`, nil, &c.Enrolled, &c.Responding, &c.Behind)
	return c, err
}

func (t *tx) Channel(id string) (*fleet.ChannelRow, error) { return channels.get(t, "id = $1", id) }

func (t *tx) ChannelsOf(deviceID string) ([]fleet.ChannelRow, error) {
	return channels.list(t, "device_id = $1 ORDER BY id", deviceID)
}

func (t *tx) PutChannel(r fleet.ChannelRow) error { return channels.put(t, r) }

func (t *tx) DeleteUserChannels(deviceID, onlyID string) error {
	return t.exec("DELETE FROM channels WHERE device_id = $1 AND id <> $1 AND ($2 = '' OR id = $2)", deviceID, onlyID)
}

func (t *tx) DueChannels(now time.Time, limit int) ([]fleet.ChannelRow, error) {
	return channels.list(t, `enabled AND wake_at > 0 AND wake_at <= $1 AND NOT unregistered AND push_token IS NOT NULL
		AND EXISTS (SELECT 1 FROM devices d WHERE d.id = channels.device_id AND d.state = 'Enrolled' AND d.intent <> 'Ignore')
		ORDER BY wake_at LIMIT $2`, toMicros(now), limit)
}

func (t *tx) WakeChannel(channelID string, at time.Time) error {
	return t.exec("UPDATE channels SET wake_at = $2, wakes = 0 WHERE id = $1 AND enabled", channelID, toMicros(at))
}

func (t *tx) WakeDevice(deviceID string, at time.Time) error {
	return t.exec("UPDATE channels SET wake_at = $2, wakes = 0 WHERE device_id = $1 AND enabled", deviceID, toMicros(at))
}

func (t *tx) WakeArtifact(key adminapi.Key, at time.Time) error {
	return t.exec(`UPDATE channels SET wake_at = $2, wakes = 0 WHERE enabled AND id IN (
		SELECT channel_id FROM states WHERE artifact_key = $1 AND outcome = 'Pending'
		UNION SELECT channel_id FROM records WHERE artifact_key = $1)`, key, toMicros(at))
}
