-- Times are Unix microseconds, 0 for none. Columns named *_json hold JSON; "sealed" means encrypted by mdmserver/seal.
CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
CREATE TABLE sequence (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  value BIGINT NOT NULL
);
INSERT INTO sequence (one, value) VALUES (1, 0);

CREATE TABLE tokens (
  key           TEXT PRIMARY KEY,
  hash          TEXT NOT NULL,
  expires_at    BIGINT NOT NULL,
  max_uses      INTEGER NOT NULL,
  labels_json   TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  udid          TEXT NOT NULL,
  uses          INTEGER NOT NULL,
  last_used     BIGINT NOT NULL
);
CREATE INDEX tokens_hash ON tokens (hash);

CREATE TABLE challenges (
  secret_hash   TEXT PRIMARY KEY,
  enrollment_id TEXT NOT NULL,
  renewal       BOOLEAN NOT NULL,
  token         TEXT NOT NULL,
  params_json   TEXT NOT NULL,
  expires_at    BIGINT NOT NULL,
  public_key    TEXT NOT NULL,
  certificate   BLOB
);
CREATE INDEX challenges_expiry ON challenges (expires_at);

CREATE TABLE enrollments (
  id            TEXT PRIMARY KEY,
  device_id     TEXT NOT NULL,
  token         TEXT NOT NULL,
  labels_json   TEXT NOT NULL,
  serial_number TEXT NOT NULL,
  udid          TEXT NOT NULL,
  params_json   TEXT NOT NULL,
  issued_at     BIGINT NOT NULL
);
CREATE INDEX enrollments_unused ON enrollments (issued_at) WHERE device_id = '';

CREATE TABLE identities (
  fingerprint   TEXT PRIMARY KEY,
  enrollment_id TEXT NOT NULL,
  not_before    BIGINT NOT NULL,
  not_after     BIGINT NOT NULL,
  reject_after  BIGINT NOT NULL
);
CREATE INDEX identities_enrollment ON identities (enrollment_id);
CREATE INDEX identities_expiry ON identities (not_after);

CREATE TABLE devices (
  id                  TEXT PRIMARY KEY,
  kind                TEXT NOT NULL,
  state               TEXT NOT NULL,
  enrollment_id       TEXT NOT NULL,
  enrolled_at         BIGINT NOT NULL,
  end_reason          TEXT NOT NULL,
  ended_at            BIGINT NOT NULL,
  facts_json          TEXT NOT NULL,
  serial_number       TEXT NOT NULL,
  token               TEXT NOT NULL,
  token_labels_json   TEXT NOT NULL,
  bound               BOOLEAN NOT NULL,
  params_json         TEXT NOT NULL,
  intent              TEXT NOT NULL,
  unenroll_at         BIGINT NOT NULL,
  blocked_json        TEXT NOT NULL,
  fingerprint         TEXT NOT NULL,
  identity_not_before BIGINT NOT NULL,
  identity_not_after  BIGINT NOT NULL,
  renew_at            BIGINT NOT NULL,
  renewing_since      BIGINT NOT NULL,
  last_seen           BIGINT NOT NULL,
  silent              BOOLEAN NOT NULL,
  bootstrap_token     BLOB, -- sealed
  unlock_token        BLOB  -- sealed
);
CREATE INDEX devices_serial ON devices (serial_number) WHERE state <> 'Ended';
CREATE INDEX devices_seen ON devices (last_seen) WHERE state = 'Enrolled' AND NOT silent;
CREATE INDEX devices_renewal ON devices (renew_at) WHERE state = 'Enrolled';

CREATE TABLE channels (
  id           TEXT PRIMARY KEY,
  device_id    TEXT NOT NULL REFERENCES devices (id),
  kind         TEXT NOT NULL,
  scope        TEXT NOT NULL,
  enabled      BOOLEAN NOT NULL,
  tally        INTEGER NOT NULL,
  push_token   BLOB,
  push_magic   BLOB, -- sealed
  topic        TEXT NOT NULL,
  token_at     BIGINT NOT NULL,
  unregistered BOOLEAN NOT NULL,
  wake_at      BIGINT NOT NULL,
  wakes        INTEGER NOT NULL
);
CREATE INDEX channels_device ON channels (device_id);
CREATE INDEX channels_wake ON channels (wake_at) WHERE enabled AND wake_at > 0;

CREATE TABLE artifacts (
  key        TEXT PRIMARY KEY,
  scope      TEXT NOT NULL,
  identifier TEXT NOT NULL,
  digest     TEXT NOT NULL,
  template   BLOB, -- sealed
  sign       BOOLEAN NOT NULL,
  withdrawn  BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX artifacts_owner ON artifacts (scope, identifier) WHERE NOT withdrawn;

CREATE TABLE assignments (
  device_id    TEXT NOT NULL REFERENCES devices (id),
  artifact_key TEXT NOT NULL, -- may name an artifact that is not there yet
  PRIMARY KEY (device_id, artifact_key)
) WITHOUT ROWID;
CREATE INDEX assignments_artifact ON assignments (artifact_key, device_id);

CREATE TABLE states (
  channel_id   TEXT NOT NULL REFERENCES channels (id),
  device_id    TEXT NOT NULL,
  artifact_key TEXT NOT NULL REFERENCES artifacts (key),
  digest       TEXT NOT NULL,
  outcome      TEXT NOT NULL,
  message      TEXT NOT NULL,
  since        BIGINT NOT NULL,
  offer        TEXT NOT NULL,
  command_uuid TEXT NOT NULL,
  attempts     INTEGER NOT NULL,
  next_attempt BIGINT NOT NULL,
  PRIMARY KEY (channel_id, artifact_key)
);
CREATE INDEX states_artifact ON states (artifact_key, device_id, outcome);
CREATE INDEX states_open ON states (channel_id, artifact_key) WHERE outcome IN ('Pending', 'NotNow');
CREATE INDEX states_failed ON states (device_id, since) WHERE outcome = 'Failed';

CREATE TABLE records (
  channel_id   TEXT NOT NULL REFERENCES channels (id),
  device_id    TEXT NOT NULL,
  identifier   TEXT NOT NULL,
  artifact_key TEXT NOT NULL,
  digest       TEXT NOT NULL,
  offer        TEXT NOT NULL,
  command_uuid TEXT NOT NULL,
  attempts     INTEGER NOT NULL,
  next_attempt BIGINT NOT NULL,
  PRIMARY KEY (channel_id, identifier)
);
CREATE INDEX records_artifact ON records (artifact_key, channel_id);

CREATE TABLE commands (
  channel_id TEXT NOT NULL REFERENCES channels (id),
  kind       TEXT NOT NULL,
  key        TEXT NOT NULL,
  uuid       TEXT NOT NULL UNIQUE,
  digest     TEXT NOT NULL,
  identifier TEXT NOT NULL,
  PRIMARY KEY (channel_id, kind, key)
);

CREATE TABLE actions (
  id           TEXT PRIMARY KEY,
  key          TEXT NOT NULL,
  spec_hash    TEXT NOT NULL,
  request_type TEXT NOT NULL,
  command      BLOB, -- sealed
  deadline     BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  finished_at  BIGINT NOT NULL,
  seq          BIGINT NOT NULL,
  UNIQUE (key, spec_hash)
);
CREATE INDEX actions_finished ON actions (finished_at) WHERE finished_at > 0;

CREATE TABLE targets (
  action_id     TEXT NOT NULL REFERENCES actions (id),
  device_id     TEXT NOT NULL, -- may name a device that is not known
  action_key    TEXT NOT NULL,
  enrollment_id TEXT NOT NULL,
  request_type  TEXT NOT NULL,
  deadline      BIGINT NOT NULL,
  seq           BIGINT NOT NULL,
  state         TEXT NOT NULL,
  message       TEXT NOT NULL,
  delivered_at  BIGINT NOT NULL,
  finished_at   BIGINT NOT NULL,
  pin           BLOB, -- sealed
  body          BLOB, -- sealed
  offer         TEXT NOT NULL,
  command_uuid  TEXT NOT NULL,
  attempts      INTEGER NOT NULL,
  next_attempt  BIGINT NOT NULL,
  PRIMARY KEY (action_id, device_id)
);
CREATE INDEX targets_state ON targets (action_id, state, finished_at);
CREATE INDEX targets_open_of ON targets (action_id) WHERE finished_at = 0;
CREATE INDEX targets_open ON targets (device_id, seq) WHERE finished_at = 0;
CREATE INDEX targets_deadline ON targets (deadline) WHERE finished_at = 0 AND deadline > 0;
CREATE INDEX targets_delivered ON targets (request_type, delivered_at) WHERE state = 'Delivered';

CREATE TABLE dirty (
  kind         TEXT NOT NULL,
  key          TEXT NOT NULL,
  version      BIGINT NOT NULL,
  not_before   BIGINT NOT NULL,
  lease_epoch  BIGINT NOT NULL,
  leased_until BIGINT NOT NULL,
  PRIMARY KEY (kind, key)
);
CREATE INDEX dirty_version ON dirty (version);
