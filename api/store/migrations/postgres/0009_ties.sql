-- What a task is a part of, and where its result comes from. A task of a batch carries out some of its items, and is
-- the platform's own.
ALTER TABLE tasks ADD COLUMN batch UUID;
ALTER TABLE tasks ADD COLUMN run UUID;
ALTER TABLE tasks ADD COLUMN study UUID;
ALTER TABLE tasks ADD COLUMN cached_from UUID;
ALTER TABLE tasks ADD COLUMN cache_key BYTEA;
