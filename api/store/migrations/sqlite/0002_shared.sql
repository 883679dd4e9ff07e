-- The group of a lane that is one line for all tenants is all zeros, as in PostgreSQL.
UPDATE tasks SET queue_group = zeroblob(16) WHERE queue_group = x'';

-- Of a result that is too large for its row.
ALTER TABLE results ADD COLUMN object_key TEXT;
ALTER TABLE results ADD COLUMN object_bytes INTEGER;
ALTER TABLE results ADD COLUMN object_sha256 BLOB;
