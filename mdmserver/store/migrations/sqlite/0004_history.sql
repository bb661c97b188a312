-- unnoticed by a program without it
-- What happened to devices, for the live view. seq is of the one sequence of the store.
CREATE TABLE history (
  seq          BIGINT NOT NULL PRIMARY KEY,
  at           BIGINT NOT NULL,
  device_id    TEXT NOT NULL,
  channel      TEXT NOT NULL,
  type         TEXT NOT NULL,
  artifact     TEXT NOT NULL,
  action       TEXT NOT NULL,
  request_type TEXT NOT NULL,
  command_uuid TEXT NOT NULL,
  message      TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX history_device ON history (device_id, seq);
