-- unnoticed by a program without it
-- Finds the answers of a device that are to be forgotten.
CREATE INDEX targets_results ON targets (device_id, finished_at) WHERE body IS NOT NULL;
