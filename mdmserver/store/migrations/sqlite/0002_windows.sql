-- Windows devices beside Apple ones.
ALTER TABLE tokens ADD COLUMN platforms_json TEXT NOT NULL DEFAULT '["Apple"]';

ALTER TABLE devices ADD COLUMN platform TEXT NOT NULL DEFAULT 'Apple';
ALTER TABLE devices ADD COLUMN user_principal_name TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN digest_secret BLOB; -- sealed
ALTER TABLE devices ADD COLUMN authentication TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN last_error_json TEXT NOT NULL DEFAULT 'null';
ALTER TABLE devices ADD COLUMN last_drift_json TEXT NOT NULL DEFAULT 'null';

CREATE INDEX devices_pending ON devices (platform, last_seen) WHERE state = 'Pending';

-- Of Windows devices: the key in the certificate, which no renewal may repeat, and the SHA-1 by which Windows names it.
ALTER TABLE identities ADD COLUMN public_key TEXT NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN thumbprint TEXT NOT NULL DEFAULT '';
CREATE INDEX identities_key ON identities (public_key) WHERE public_key <> '';

ALTER TABLE challenges ADD COLUMN user_principal_name TEXT NOT NULL DEFAULT '';

-- What an artifact for Windows writes. A record of a device (table records) names a node in its column identifier.
ALTER TABLE artifacts ADD COLUMN platform TEXT NOT NULL DEFAULT 'Apple';
CREATE TABLE artifact_nodes (
  artifact_key TEXT NOT NULL REFERENCES artifacts (key),
  loc_uri      TEXT NOT NULL,
  PRIMARY KEY (artifact_key, loc_uri)
) WITHOUT ROWID;
CREATE INDEX artifact_nodes_uri ON artifact_nodes (loc_uri);

-- When an installed artifact is next read back; 0: never.
ALTER TABLE states ADD COLUMN verify_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX states_verify ON states (channel_id, verify_at) WHERE verify_at > 0;

-- An action's commands were accepted and only its end is awaited.
ALTER TABLE targets ADD COLUMN accepted BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE agents (
  node_key_hash TEXT PRIMARY KEY,
  hardware_uuid TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  token         TEXT NOT NULL,
  created_at    BIGINT NOT NULL,
  device_id     TEXT NOT NULL
);
CREATE INDEX agents_hardware ON agents (hardware_uuid);

CREATE TABLE windows_sessions (
  device_id  TEXT PRIMARY KEY REFERENCES devices (id),
  session_id TEXT NOT NULL,
  msg_id     TEXT NOT NULL,
  state      BLOB, -- sealed
  updated_at BIGINT NOT NULL
);
