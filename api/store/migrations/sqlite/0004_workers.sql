-- The process that runs tasks, so that it is shown as the many of a shared database are.
CREATE TABLE workers (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    lanes TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    running INTEGER NOT NULL,
    draining INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How many long tasks a tenant started lately.
CREATE INDEX tasks_started ON tasks (started_ms, tenant) WHERE lane = 'long_running' AND started_ms IS NOT NULL;
