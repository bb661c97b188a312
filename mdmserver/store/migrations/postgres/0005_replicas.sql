-- unnoticed by a program without it
-- What only one of several replicas does at a time: it is left to the holder until the lease ends.
CREATE TABLE leases (
  name       TEXT COLLATE "C" PRIMARY KEY,
  holder     TEXT COLLATE "C" NOT NULL,
  expires_at BIGINT NOT NULL
) WITH (fillfactor = 10);

-- The store epoch in which the manager last said that it wants a destructive action.
ALTER TABLE actions ADD COLUMN wanted_epoch TEXT COLLATE "C" NOT NULL DEFAULT '';
