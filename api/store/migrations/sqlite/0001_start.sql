-- Times are Unix milliseconds, ids the 16 bytes of a UUID. `no` numbers tasks in the order of their acceptance;
-- what belongs to a task refers to that number.

CREATE TABLE tenants (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    disabled INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id BLOB NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_keys_by_tenant ON api_keys (tenant, id);

-- What changes during a task's life. `queue_group` is whose turn a queued task takes: its tenant where the lane is
-- fair between tenants, empty where it is not, and absent while its tenant is disabled, so that no claim finds it.
-- `due_ms` orders the queue; `timed` tells that it was asked for, not just the time of acceptance.
CREATE TABLE tasks (
    no INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    state TEXT NOT NULL,
    lane TEXT NOT NULL,
    priority INTEGER NOT NULL,
    queue_rank INTEGER NOT NULL,
    queue_group BLOB,
    due_ms INTEGER NOT NULL,
    timed INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    completed_ms INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    lost_attempts INTEGER NOT NULL DEFAULT 0,
    fence INTEGER NOT NULL DEFAULT 0,
    lease_token BLOB,
    lease_until_ms INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    event_seq INTEGER NOT NULL DEFAULT 1,
    progress_seq INTEGER,
    progress_ms INTEGER,
    progress_fraction REAL,
    progress_message TEXT,
    log_bytes INTEGER NOT NULL DEFAULT 0,
    name TEXT,
    labels TEXT
) STRICT;

CREATE UNIQUE INDEX tasks_by_id ON tasks (tenant, id);
CREATE INDEX tasks_queued ON tasks (lane, queue_rank, queue_group, due_ms, no) WHERE state = 'queued';
CREATE INDEX tasks_running ON tasks (lane, tenant, no) WHERE state = 'running';

-- What a task was asked to do: written once.
CREATE TABLE task_specs (
    no INTEGER NOT NULL PRIMARY KEY REFERENCES tasks (no) ON DELETE CASCADE,
    code TEXT NOT NULL,
    inputs TEXT NOT NULL,
    settings TEXT NOT NULL
) STRICT;

CREATE TABLE task_files (
    no INTEGER NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    upload BLOB NOT NULL REFERENCES uploads (id),
    PRIMARY KEY (no, upload)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_files_by_upload ON task_files (upload);

CREATE TABLE results (
    no INTEGER NOT NULL PRIMARY KEY REFERENCES tasks (no) ON DELETE CASCADE,
    error TEXT,
    warnings TEXT,
    result TEXT
) STRICT;

-- Usage outlives its task.
CREATE TABLE task_usage (
    no INTEGER NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    at_ms INTEGER NOT NULL,
    error_kind TEXT,
    fuel INTEGER NOT NULL,
    memory_peak_bytes INTEGER NOT NULL,
    cpu_ms REAL NOT NULL,
    queued_ms REAL NOT NULL,
    startup_ms REAL NOT NULL,
    execute_ms REAL NOT NULL
) STRICT;

CREATE TABLE preview_usage (
    no INTEGER NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    at_ms INTEGER NOT NULL,
    error_kind TEXT,
    fuel INTEGER NOT NULL,
    memory_peak_bytes INTEGER NOT NULL,
    cpu_ms REAL NOT NULL,
    queued_ms REAL NOT NULL,
    startup_ms REAL NOT NULL,
    execute_ms REAL NOT NULL
) STRICT;

-- State changes; progress and logs take numbers from the same sequence.
CREATE TABLE task_events (
    no INTEGER NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (no, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_logs (
    no INTEGER NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX task_logs_by_task ON task_logs (no, seq);

CREATE TABLE artifacts (
    no INTEGER NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    name TEXT NOT NULL,
    object_key TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    content_type TEXT NOT NULL,
    PRIMARY KEY (no, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    key TEXT NOT NULL,
    body_digest BLOB NOT NULL,
    task_no INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_by_age ON idempotency (created_ms);

CREATE TABLE uploads (
    id BLOB NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT,
    content_type TEXT,
    state TEXT NOT NULL,
    bytes_max INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    sha256 BLOB,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX uploads_by_tenant ON uploads (tenant, id);
CREATE INDEX uploads_by_expiry ON uploads (expires_ms);

CREATE TABLE modules (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    digest BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    imports TEXT NOT NULL,
    exports TEXT NOT NULL,
    warnings TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, digest)
) STRICT, WITHOUT ROWID;

-- Objects to delete: written in the transaction that drops the row that named them, emptied once they are gone.
CREATE TABLE doomed_objects (
    object_key TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
