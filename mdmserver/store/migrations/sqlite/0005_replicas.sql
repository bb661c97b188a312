-- unnoticed by a program without it
-- What only one of several replicas does at a time: it is left to the holder until the lease ends.
CREATE TABLE leases (
  name       TEXT PRIMARY KEY,
  holder     TEXT NOT NULL,
  expires_at BIGINT NOT NULL
) WITHOUT ROWID;

-- The store epoch in which the manager last said that it wants a destructive action.
ALTER TABLE actions ADD COLUMN wanted_epoch TEXT NOT NULL DEFAULT '';
