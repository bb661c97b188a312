-- unnoticed by a program without it
-- What happened to devices, for the live view. seq is of the one sequence of the store.
CREATE TABLE history (
  seq          BIGINT NOT NULL PRIMARY KEY,
  at           BIGINT NOT NULL,
  device_id    TEXT COLLATE "C" NOT NULL,
  channel      TEXT COLLATE "C" NOT NULL,
  type         TEXT COLLATE "C" NOT NULL,
  artifact     TEXT COLLATE "C" NOT NULL,
  action       TEXT COLLATE "C" NOT NULL,
  request_type TEXT COLLATE "C" NOT NULL,
  command_uuid TEXT COLLATE "C" NOT NULL,
  message      TEXT COLLATE "C" NOT NULL
);
CREATE INDEX history_device ON history (device_id, seq);
