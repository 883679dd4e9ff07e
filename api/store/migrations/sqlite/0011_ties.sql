-- What a task is a part of, and where its result comes from. A task of a batch carries out some of its items, and is
-- the platform's own.
ALTER TABLE tasks ADD COLUMN batch BLOB;
ALTER TABLE tasks ADD COLUMN run BLOB;
ALTER TABLE tasks ADD COLUMN study BLOB;
ALTER TABLE tasks ADD COLUMN cached_from BLOB;
ALTER TABLE tasks ADD COLUMN cache_key BLOB;
