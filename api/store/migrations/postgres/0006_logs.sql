-- A piece of a log that is too large for its row is an object, which the row names; its text is empty then.
ALTER TABLE task_logs ADD COLUMN object_key TEXT, ADD COLUMN object_bytes BIGINT, ADD COLUMN object_sha256 BYTEA;
