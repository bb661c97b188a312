-- Automated Device Enrollment: which devices may enrol in Setup Assistant.
CREATE TABLE automated (
  key           TEXT PRIMARY KEY,
  digest        TEXT NOT NULL,
  profiles_json TEXT NOT NULL
);
CREATE TABLE automated_devices (
  serial_number TEXT PRIMARY KEY,
  automated     TEXT NOT NULL REFERENCES automated (key),
  profile       TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX automated_devices_automated ON automated_devices (automated, serial_number);

ALTER TABLE challenges ADD COLUMN automated TEXT NOT NULL DEFAULT '';
ALTER TABLE challenges ADD COLUMN serial_number TEXT NOT NULL DEFAULT '';

ALTER TABLE enrollments ADD COLUMN automated TEXT NOT NULL DEFAULT '';
ALTER TABLE enrollments ADD COLUMN user_principal_name TEXT NOT NULL DEFAULT '';

ALTER TABLE devices ADD COLUMN automated TEXT NOT NULL DEFAULT '';
-- How far a device came in Setup Assistant.
ALTER TABLE devices ADD COLUMN setup_json TEXT NOT NULL DEFAULT '{}';
