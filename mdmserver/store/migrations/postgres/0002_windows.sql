-- Windows devices beside Apple ones.
ALTER TABLE tokens ADD COLUMN platforms_json TEXT NOT NULL DEFAULT '["Apple"]';

ALTER TABLE devices ADD COLUMN platform TEXT COLLATE "C" NOT NULL DEFAULT 'Apple';
ALTER TABLE devices ADD COLUMN user_principal_name TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN digest_secret BYTEA; -- sealed
ALTER TABLE devices ADD COLUMN authentication TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN last_error_json TEXT NOT NULL DEFAULT 'null';
ALTER TABLE devices ADD COLUMN last_drift_json TEXT NOT NULL DEFAULT 'null';

CREATE INDEX devices_pending ON devices (platform, last_seen) WHERE state = 'Pending';

-- Of Windows devices: the key in the certificate, which no renewal may repeat, and the SHA-1 by which Windows names it.
ALTER TABLE identities ADD COLUMN public_key TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE identities ADD COLUMN thumbprint TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX identities_key ON identities (public_key) WHERE public_key <> '';

ALTER TABLE challenges ADD COLUMN user_principal_name TEXT COLLATE "C" NOT NULL DEFAULT '';

-- What an artifact for Windows writes. A record of a device (table records) names a node in its column identifier.
ALTER TABLE artifacts ADD COLUMN platform TEXT COLLATE "C" NOT NULL DEFAULT 'Apple';
CREATE TABLE artifact_nodes (
  artifact_key TEXT COLLATE "C" NOT NULL REFERENCES artifacts (key),
  loc_uri      TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (artifact_key, loc_uri)
);
CREATE INDEX artifact_nodes_uri ON artifact_nodes (loc_uri);

-- When an installed artifact is next read back; 0: never.
ALTER TABLE states ADD COLUMN verify_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX states_verify ON states (channel_id, verify_at) WHERE verify_at > 0;

-- An action's commands were accepted and only its end is awaited.
ALTER TABLE targets ADD COLUMN accepted BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE agents (
  node_key_hash TEXT COLLATE "C" PRIMARY KEY,
  hardware_uuid TEXT COLLATE "C" NOT NULL,
  serial_number TEXT COLLATE "C" NOT NULL,
  token         TEXT COLLATE "C" NOT NULL,
  created_at    BIGINT NOT NULL,
  device_id     TEXT COLLATE "C" NOT NULL
);
CREATE INDEX agents_hardware ON agents (hardware_uuid);

CREATE TABLE windows_sessions (
  device_id  TEXT COLLATE "C" PRIMARY KEY REFERENCES devices (id),
  session_id TEXT COLLATE "C" NOT NULL,
  msg_id     TEXT COLLATE "C" NOT NULL,
  state      BYTEA, -- sealed
  updated_at BIGINT NOT NULL
) WITH (fillfactor = 70);
