-- The processes that run tasks. Each writes its row again every few seconds.
CREATE TABLE workers (
    id UUID NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    version TEXT NOT NULL,
    lanes TEXT NOT NULL,
    concurrency BIGINT NOT NULL,
    running BIGINT NOT NULL,
    draining BIGINT NOT NULL,
    started_ms BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL
);

ALTER TABLE workers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY process_alone ON workers USING (current_setting('mecapy.tenant', true) = '*');

-- How many long tasks a tenant started lately.
CREATE INDEX tasks_started ON tasks (started_ms, tenant) WHERE lane = 'long_running' AND started_ms IS NOT NULL;
