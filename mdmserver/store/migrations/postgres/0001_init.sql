-- Times are Unix microseconds, 0 for none. Columns named *_json hold JSON; "sealed" means encrypted by mdmserver/seal.
-- Text is ordered by its bytes, as in SQLite. A fillfactor leaves room for rows that change often, so that a change stays in its page.
CREATE TABLE meta (
  name  TEXT COLLATE "C" PRIMARY KEY,
  value TEXT NOT NULL
);
CREATE TABLE sequence (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  value BIGINT NOT NULL
) WITH (fillfactor = 10);
INSERT INTO sequence (one, value) VALUES (1, 0);

CREATE TABLE tokens (
  key           TEXT COLLATE "C" PRIMARY KEY,
  hash          TEXT COLLATE "C" NOT NULL,
  expires_at    BIGINT NOT NULL,
  max_uses      INTEGER NOT NULL,
  labels_json   TEXT NOT NULL,
  serial_number TEXT COLLATE "C" NOT NULL,
  udid          TEXT COLLATE "C" NOT NULL,
  uses          INTEGER NOT NULL,
  last_used     BIGINT NOT NULL
);
CREATE INDEX tokens_hash ON tokens (hash);

CREATE TABLE challenges (
  secret_hash   TEXT COLLATE "C" PRIMARY KEY,
  enrollment_id TEXT COLLATE "C" NOT NULL,
  renewal       BOOLEAN NOT NULL,
  token         TEXT COLLATE "C" NOT NULL,
  params_json   TEXT NOT NULL,
  expires_at    BIGINT NOT NULL,
  public_key    TEXT COLLATE "C" NOT NULL,
  certificate   BYTEA
);
CREATE INDEX challenges_expiry ON challenges (expires_at);

CREATE TABLE enrollments (
  id            TEXT COLLATE "C" PRIMARY KEY,
  device_id     TEXT COLLATE "C" NOT NULL,
  token         TEXT COLLATE "C" NOT NULL,
  labels_json   TEXT NOT NULL,
  serial_number TEXT COLLATE "C" NOT NULL,
  udid          TEXT COLLATE "C" NOT NULL,
  params_json   TEXT NOT NULL,
  issued_at     BIGINT NOT NULL
);
CREATE INDEX enrollments_unused ON enrollments (issued_at) WHERE device_id = '';

CREATE TABLE identities (
  fingerprint   TEXT COLLATE "C" PRIMARY KEY,
  enrollment_id TEXT COLLATE "C" NOT NULL,
  not_before    BIGINT NOT NULL,
  not_after     BIGINT NOT NULL,
  reject_after  BIGINT NOT NULL
);
CREATE INDEX identities_enrollment ON identities (enrollment_id);
CREATE INDEX identities_expiry ON identities (not_after);

CREATE TABLE devices (
  id                  TEXT COLLATE "C" PRIMARY KEY,
  kind                TEXT COLLATE "C" NOT NULL,
  state               TEXT COLLATE "C" NOT NULL,
  enrollment_id       TEXT COLLATE "C" NOT NULL,
  enrolled_at         BIGINT NOT NULL,
  end_reason          TEXT COLLATE "C" NOT NULL,
  ended_at            BIGINT NOT NULL,
  facts_json          TEXT NOT NULL,
  serial_number       TEXT COLLATE "C" NOT NULL,
  token               TEXT COLLATE "C" NOT NULL,
  token_labels_json   TEXT NOT NULL,
  bound               BOOLEAN NOT NULL,
  params_json         TEXT NOT NULL,
  intent              TEXT COLLATE "C" NOT NULL,
  unenroll_at         BIGINT NOT NULL,
  blocked_json        TEXT NOT NULL,
  fingerprint         TEXT COLLATE "C" NOT NULL,
  identity_not_before BIGINT NOT NULL,
  identity_not_after  BIGINT NOT NULL,
  renew_at            BIGINT NOT NULL,
  renewing_since      BIGINT NOT NULL,
  last_seen           BIGINT NOT NULL,
  silent              BOOLEAN NOT NULL,
  bootstrap_token     BYTEA, -- sealed
  unlock_token        BYTEA  -- sealed
) WITH (fillfactor = 80);
CREATE INDEX devices_serial ON devices (serial_number) WHERE state <> 'Ended';
CREATE INDEX devices_seen ON devices (last_seen) WHERE state = 'Enrolled' AND NOT silent;
CREATE INDEX devices_renewal ON devices (renew_at) WHERE state = 'Enrolled';

CREATE TABLE channels (
  id           TEXT COLLATE "C" PRIMARY KEY,
  device_id    TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
  kind         TEXT COLLATE "C" NOT NULL,
  scope        TEXT COLLATE "C" NOT NULL,
  enabled      BOOLEAN NOT NULL,
  tally        INTEGER NOT NULL,
  push_token   BYTEA,
  push_magic   BYTEA, -- sealed
  topic        TEXT COLLATE "C" NOT NULL,
  token_at     BIGINT NOT NULL,
  unregistered BOOLEAN NOT NULL,
  wake_at      BIGINT NOT NULL,
  wakes        INTEGER NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX channels_device ON channels (device_id);
CREATE INDEX channels_wake ON channels (wake_at) WHERE enabled AND wake_at > 0;

CREATE TABLE artifacts (
  key        TEXT COLLATE "C" PRIMARY KEY,
  scope      TEXT COLLATE "C" NOT NULL,
  identifier TEXT COLLATE "C" NOT NULL,
  digest     TEXT COLLATE "C" NOT NULL,
  template   BYTEA, -- sealed
  sign       BOOLEAN NOT NULL,
  withdrawn  BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX artifacts_owner ON artifacts (scope, identifier) WHERE NOT withdrawn;

CREATE TABLE assignments (
  device_id    TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
  artifact_key TEXT COLLATE "C" NOT NULL, -- may name an artifact that is not there yet
  PRIMARY KEY (device_id, artifact_key)
);
CREATE INDEX assignments_artifact ON assignments (artifact_key, device_id);

CREATE TABLE states (
  channel_id   TEXT COLLATE "C" NOT NULL REFERENCES channels (id),
  device_id    TEXT COLLATE "C" NOT NULL,
  artifact_key TEXT COLLATE "C" NOT NULL REFERENCES artifacts (key),
  digest       TEXT COLLATE "C" NOT NULL,
  outcome      TEXT COLLATE "C" NOT NULL,
  message      TEXT COLLATE "C" NOT NULL,
  since        BIGINT NOT NULL,
  offer        TEXT COLLATE "C" NOT NULL,
  command_uuid TEXT COLLATE "C" NOT NULL,
  attempts     INTEGER NOT NULL,
  next_attempt BIGINT NOT NULL,
  PRIMARY KEY (channel_id, artifact_key)
) WITH (fillfactor = 80);
CREATE INDEX states_artifact ON states (artifact_key, device_id, outcome);
CREATE INDEX states_open ON states (channel_id, artifact_key) WHERE outcome IN ('Pending', 'NotNow');
CREATE INDEX states_failed ON states (device_id, since) WHERE outcome = 'Failed';

CREATE TABLE records (
  channel_id   TEXT COLLATE "C" NOT NULL REFERENCES channels (id),
  device_id    TEXT COLLATE "C" NOT NULL,
  identifier   TEXT COLLATE "C" NOT NULL,
  artifact_key TEXT COLLATE "C" NOT NULL,
  digest       TEXT COLLATE "C" NOT NULL,
  offer        TEXT COLLATE "C" NOT NULL,
  command_uuid TEXT COLLATE "C" NOT NULL,
  attempts     INTEGER NOT NULL,
  next_attempt BIGINT NOT NULL,
  PRIMARY KEY (channel_id, identifier)
) WITH (fillfactor = 80);
CREATE INDEX records_artifact ON records (artifact_key, channel_id);

CREATE TABLE commands (
  channel_id TEXT COLLATE "C" NOT NULL REFERENCES channels (id),
  kind       TEXT COLLATE "C" NOT NULL,
  key        TEXT COLLATE "C" NOT NULL,
  uuid       TEXT COLLATE "C" NOT NULL UNIQUE,
  digest     TEXT COLLATE "C" NOT NULL,
  identifier TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (channel_id, kind, key)
);

CREATE TABLE actions (
  id           TEXT COLLATE "C" PRIMARY KEY,
  key          TEXT COLLATE "C" NOT NULL,
  spec_hash    TEXT COLLATE "C" NOT NULL,
  request_type TEXT COLLATE "C" NOT NULL,
  command      BYTEA, -- sealed
  deadline     BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  finished_at  BIGINT NOT NULL,
  seq          BIGINT NOT NULL,
  UNIQUE (key, spec_hash)
);
CREATE INDEX actions_finished ON actions (finished_at) WHERE finished_at > 0;

CREATE TABLE targets (
  action_id     TEXT COLLATE "C" NOT NULL REFERENCES actions (id),
  device_id     TEXT COLLATE "C" NOT NULL, -- may name a device that is not known
  action_key    TEXT COLLATE "C" NOT NULL,
  enrollment_id TEXT COLLATE "C" NOT NULL,
  request_type  TEXT COLLATE "C" NOT NULL,
  deadline      BIGINT NOT NULL,
  seq           BIGINT NOT NULL,
  state         TEXT COLLATE "C" NOT NULL,
  message       TEXT COLLATE "C" NOT NULL,
  delivered_at  BIGINT NOT NULL,
  finished_at   BIGINT NOT NULL,
  pin           BYTEA, -- sealed
  body          BYTEA, -- sealed
  offer         TEXT COLLATE "C" NOT NULL,
  command_uuid  TEXT COLLATE "C" NOT NULL,
  attempts      INTEGER NOT NULL,
  next_attempt  BIGINT NOT NULL,
  PRIMARY KEY (action_id, device_id)
) WITH (fillfactor = 80);
CREATE INDEX targets_state ON targets (action_id, state, finished_at);
CREATE INDEX targets_open_of ON targets (action_id) WHERE finished_at = 0;
CREATE INDEX targets_open ON targets (device_id, seq) WHERE finished_at = 0;
CREATE INDEX targets_deadline ON targets (deadline) WHERE finished_at = 0 AND deadline > 0;
CREATE INDEX targets_delivered ON targets (request_type, delivered_at) WHERE state = 'Delivered';

CREATE TABLE dirty (
  kind         TEXT COLLATE "C" NOT NULL,
  key          TEXT COLLATE "C" NOT NULL,
  version      BIGINT NOT NULL,
  not_before   BIGINT NOT NULL,
  lease_epoch  BIGINT NOT NULL,
  leased_until BIGINT NOT NULL,
  PRIMARY KEY (kind, key)
) WITH (fillfactor = 50);
CREATE INDEX dirty_version ON dirty (version);
