-- Automated Device Enrollment: which devices may enrol in Setup Assistant.
CREATE TABLE automated (
  key           TEXT COLLATE "C" PRIMARY KEY,
  digest        TEXT COLLATE "C" NOT NULL,
  profiles_json TEXT NOT NULL
);
CREATE TABLE automated_devices (
  serial_number TEXT COLLATE "C" PRIMARY KEY,
  automated     TEXT COLLATE "C" NOT NULL REFERENCES automated (key),
  profile       TEXT COLLATE "C" NOT NULL
);
CREATE INDEX automated_devices_automated ON automated_devices (automated, serial_number);

ALTER TABLE challenges ADD COLUMN automated TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE challenges ADD COLUMN serial_number TEXT COLLATE "C" NOT NULL DEFAULT '';

ALTER TABLE enrollments ADD COLUMN automated TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE enrollments ADD COLUMN user_principal_name TEXT COLLATE "C" NOT NULL DEFAULT '';

ALTER TABLE devices ADD COLUMN automated TEXT COLLATE "C" NOT NULL DEFAULT '';
-- How far a device came in Setup Assistant.
ALTER TABLE devices ADD COLUMN setup_json TEXT NOT NULL DEFAULT '{}';
