-- Times are Unix milliseconds of this server's clock. `no` numbers tasks in the order of their acceptance; what belongs
-- to a task refers to that number. Truths are 0 or 1.
--
-- Row security is the second line behind the queries: a connection that serves a request has set `mecapy.tenant` to
-- the caller's tenant and sees its rows alone; `*` is the process itself; unset, nothing is seen.

CREATE TABLE tenants (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    disabled BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id UUID NOT NULL PRIMARY KEY,
    tenant UUID NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    secret_sha256 BYTEA NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    revoked_ms BIGINT
);

CREATE INDEX api_keys_by_tenant ON api_keys (tenant, id);

CREATE SEQUENCE task_numbers;

-- What changes during a task's life. `queue_group` is whose turn a queued task takes: its tenant where the lane is
-- fair between tenants, all zeros where it is not, and absent while its tenant is disabled, so that no claim finds it.
-- `due_ms` orders the queue; `timed` tells that it was asked for, not just the time of acceptance.
CREATE TABLE tasks (
    no BIGINT NOT NULL PRIMARY KEY,
    id UUID NOT NULL,
    tenant UUID NOT NULL REFERENCES tenants (id),
    state TEXT NOT NULL,
    lane TEXT NOT NULL,
    priority BIGINT NOT NULL,
    queue_rank BIGINT NOT NULL,
    queue_group UUID,
    due_ms BIGINT NOT NULL,
    timed BIGINT NOT NULL DEFAULT 0,
    created_ms BIGINT NOT NULL,
    started_ms BIGINT,
    completed_ms BIGINT,
    attempt BIGINT NOT NULL DEFAULT 0,
    lost_attempts BIGINT NOT NULL DEFAULT 0,
    fence BIGINT NOT NULL DEFAULT 0,
    lease_token BYTEA,
    lease_until_ms BIGINT,
    cancel_requested BIGINT NOT NULL DEFAULT 0,
    event_seq BIGINT NOT NULL DEFAULT 1,
    progress_seq BIGINT,
    progress_ms BIGINT,
    progress_fraction DOUBLE PRECISION,
    progress_message TEXT,
    log_bytes BIGINT NOT NULL DEFAULT 0,
    name TEXT,
    labels TEXT
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE UNIQUE INDEX tasks_by_id ON tasks (tenant, id);
CREATE INDEX tasks_queued ON tasks (lane, queue_rank, queue_group, due_ms, no) WHERE state = 'queued';
CREATE INDEX tasks_queued_by_tenant ON tasks (tenant) WHERE state = 'queued';
CREATE INDEX tasks_running ON tasks (lane, tenant, no) WHERE state = 'running';
CREATE INDEX tasks_leased ON tasks (lease_until_ms) WHERE state = 'running';

-- When a tenant last got a turn in a lane: the lane's count of turns then.
CREATE TABLE lane_turns (
    lane TEXT NOT NULL,
    tenant UUID NOT NULL REFERENCES tenants (id),
    turn BIGINT NOT NULL,
    PRIMARY KEY (lane, tenant)
);

-- What a task was asked to do: written once.
CREATE TABLE task_specs (
    no BIGINT NOT NULL PRIMARY KEY REFERENCES tasks (no) ON DELETE CASCADE,
    code TEXT NOT NULL,
    inputs TEXT NOT NULL,
    settings TEXT NOT NULL
);

CREATE TABLE uploads (
    id UUID NOT NULL PRIMARY KEY,
    tenant UUID NOT NULL REFERENCES tenants (id),
    name TEXT,
    content_type TEXT,
    state TEXT NOT NULL,
    bytes_max BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL DEFAULT 0,
    sha256 BYTEA,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    -- Absent until the bytes are there.
    object_key TEXT
);

CREATE INDEX uploads_by_tenant ON uploads (tenant, id);
CREATE INDEX uploads_by_expiry ON uploads (expires_ms);

CREATE TABLE task_files (
    no BIGINT NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    upload UUID NOT NULL REFERENCES uploads (id),
    PRIMARY KEY (no, upload)
);

CREATE INDEX task_files_by_upload ON task_files (upload);

CREATE TABLE results (
    no BIGINT NOT NULL PRIMARY KEY REFERENCES tasks (no) ON DELETE CASCADE,
    error TEXT,
    warnings TEXT,
    result TEXT,
    -- Of a result that is too large for its row.
    object_key TEXT,
    object_bytes BIGINT,
    object_sha256 BYTEA
);

-- Usage outlives its task.
CREATE TABLE task_usage (
    no BIGINT NOT NULL PRIMARY KEY,
    tenant UUID NOT NULL REFERENCES tenants (id),
    at_ms BIGINT NOT NULL,
    error_kind TEXT,
    fuel BIGINT NOT NULL,
    memory_peak_bytes BIGINT NOT NULL,
    cpu_ms DOUBLE PRECISION NOT NULL,
    queued_ms DOUBLE PRECISION NOT NULL,
    startup_ms DOUBLE PRECISION NOT NULL,
    execute_ms DOUBLE PRECISION NOT NULL
);

CREATE TABLE preview_usage (
    no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant UUID NOT NULL REFERENCES tenants (id),
    at_ms BIGINT NOT NULL,
    error_kind TEXT,
    fuel BIGINT NOT NULL,
    memory_peak_bytes BIGINT NOT NULL,
    cpu_ms DOUBLE PRECISION NOT NULL,
    queued_ms DOUBLE PRECISION NOT NULL,
    startup_ms DOUBLE PRECISION NOT NULL,
    execute_ms DOUBLE PRECISION NOT NULL
);

-- State changes; progress and logs take numbers from the same sequence.
CREATE TABLE task_events (
    no BIGINT NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    PRIMARY KEY (no, seq)
);

CREATE TABLE task_logs (
    no BIGINT NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (no, seq)
);

CREATE TABLE artifacts (
    no BIGINT NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    name TEXT NOT NULL,
    object_key TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    content_type TEXT NOT NULL,
    PRIMARY KEY (no, name)
);

CREATE TABLE idempotency (
    tenant UUID NOT NULL REFERENCES tenants (id),
    key TEXT NOT NULL,
    body_digest BYTEA NOT NULL,
    task_no BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);

CREATE INDEX idempotency_by_age ON idempotency (created_ms);

CREATE TABLE modules (
    tenant UUID NOT NULL REFERENCES tenants (id),
    digest BYTEA NOT NULL,
    size_bytes BIGINT NOT NULL,
    imports TEXT NOT NULL,
    exports TEXT NOT NULL,
    warnings TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    object_key TEXT NOT NULL,
    PRIMARY KEY (tenant, digest)
);

-- Objects to delete: written in the transaction that drops the row that named them, emptied once they are gone.
CREATE TABLE doomed_objects (
    object_key TEXT NOT NULL PRIMARY KEY
);

-- What every process of this installation shares.
CREATE TABLE installation (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- Rises with each change of keys and tenants, so that processes know when to read them again.
CREATE TABLE access_version (
    version BIGINT NOT NULL
);

INSERT INTO access_version (version) VALUES (1);

DO $$
DECLARE
    named TEXT;
    everything CONSTANT TEXT := 'current_setting(''mecapy.tenant'', true) = ''*''';
    own CONSTANT TEXT := 'tenant::text = current_setting(''mecapy.tenant'', true)';
BEGIN
    FOREACH named IN ARRAY ARRAY['api_keys', 'tasks', 'task_usage', 'preview_usage', 'idempotency', 'uploads', 'modules', 'lane_turns'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY by_tenant ON %I USING (%s OR %s)', named, everything, own);
    END LOOP;
    -- A row of a task is seen by whoever sees the task.
    FOREACH named IN ARRAY ARRAY['task_specs', 'task_files', 'results', 'task_events', 'task_logs', 'artifacts'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY by_tenant ON %I USING (%s OR EXISTS (SELECT 1 FROM tasks t WHERE t.no = %I.no))',
            named, everything, named);
    END LOOP;
    FOREACH named IN ARRAY ARRAY['doomed_objects', 'installation', 'access_version'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY process_alone ON %I USING (%s)', named, everything);
    END LOOP;
    EXECUTE 'ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY';
    EXECUTE format('CREATE POLICY by_tenant ON tenants USING (%s OR id::text = current_setting(''mecapy.tenant'', true))', everything);
END $$;
