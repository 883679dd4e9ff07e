-- A piece of a log that is too large for its row is an object, which the row names; its text is empty then.
ALTER TABLE task_logs ADD COLUMN object_key TEXT;
ALTER TABLE task_logs ADD COLUMN object_bytes INTEGER;
ALTER TABLE task_logs ADD COLUMN object_sha256 BLOB;
