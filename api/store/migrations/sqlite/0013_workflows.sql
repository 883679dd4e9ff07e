-- A graph of nodes by its name. What it is stands in its versions, which never change; `version` is the newest.
CREATE TABLE workflows (
    no INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX workflows_by_id ON workflows (tenant, id);
CREATE UNIQUE INDEX workflows_by_name ON workflows (tenant, name);

CREATE TABLE workflow_versions (
    workflow_no INTEGER NOT NULL REFERENCES workflows (no) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    definition TEXT NOT NULL,
    saved_ms INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX workflow_versions_by_number ON workflow_versions (workflow_no, version);

-- One execution of a workflow. `seq` is the number of the newest event of its log: who adds to the log names the number
-- that it went by, so that of two who plan at the same time one adds. A run is due where its inbox holds something or
-- `wake_ms` has come, but not before `held_until_ms`.
CREATE TABLE workflow_runs (
    no INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    workflow BLOB NOT NULL,
    version INTEGER NOT NULL,
    name TEXT,
    state TEXT NOT NULL,
    seq INTEGER NOT NULL,
    parent BLOB,
    parent_node TEXT,
    parent_index INTEGER,
    depth INTEGER NOT NULL,
    study BLOB,
    created_ms INTEGER NOT NULL,
    completed_ms INTEGER,
    wake_ms INTEGER,
    held_until_ms INTEGER,
    error TEXT,
    idempotency_key TEXT,
    body_digest BLOB
) STRICT;

CREATE UNIQUE INDEX workflow_runs_by_id ON workflow_runs (tenant, id);
CREATE UNIQUE INDEX workflow_runs_by_key ON workflow_runs (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX workflow_runs_by_workflow ON workflow_runs (workflow, id);
CREATE INDEX workflow_runs_by_study ON workflow_runs (tenant, study, id) WHERE study IS NOT NULL;
CREATE INDEX workflow_runs_by_parent ON workflow_runs (tenant, parent, id) WHERE parent IS NOT NULL;
CREATE INDEX workflow_runs_to_wake ON workflow_runs (wake_ms) WHERE wake_ms IS NOT NULL;

-- What may be large and is not written again with each step.
CREATE TABLE workflow_run_texts (
    run_no INTEGER NOT NULL PRIMARY KEY REFERENCES workflow_runs (no) ON DELETE CASCADE,
    inputs TEXT NOT NULL,
    pins TEXT NOT NULL,
    labels TEXT,
    outputs TEXT
) STRICT;

CREATE TABLE run_events (
    run_no INTEGER NOT NULL REFERENCES workflow_runs (no) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_no, seq)
) STRICT, WITHOUT ROWID;

-- What a run has to take in. A row is written in the transaction of what it tells, and deleted in that of the events that
-- follow from it. Numbers are never given twice.
CREATE TABLE run_inbox (
    no INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run_no INTEGER NOT NULL REFERENCES workflow_runs (no) ON DELETE CASCADE,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX run_inbox_by_run ON run_inbox (run_no, no);

CREATE INDEX tasks_by_run ON tasks (tenant, run, id) WHERE run IS NOT NULL;
CREATE INDEX tasks_by_study ON tasks (tenant, study, id) WHERE study IS NOT NULL;
CREATE INDEX batches_by_study ON batches (tenant, study, id) WHERE study IS NOT NULL;

CREATE TABLE studies (
    id BLOB NOT NULL,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- `next_ms` is when it fires next: who fires it names that time, so that of many who try one fires. `last_task` or
-- `last_run` is what it started last.
CREATE TABLE schedules (
    no INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT,
    cron TEXT NOT NULL,
    timezone TEXT NOT NULL,
    work TEXT NOT NULL,
    missed TEXT NOT NULL,
    overlap TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER,
    last_task BLOB,
    last_run BLOB,
    created_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX schedules_by_id ON schedules (tenant, id);
CREATE INDEX schedules_due ON schedules (next_ms) WHERE paused = 0 AND next_ms IS NOT NULL;

CREATE TABLE schedule_firings (
    no INTEGER NOT NULL PRIMARY KEY,
    schedule_no INTEGER NOT NULL REFERENCES schedules (no) ON DELETE CASCADE,
    due_ms INTEGER NOT NULL,
    fired_ms INTEGER NOT NULL,
    task BLOB,
    run BLOB,
    note TEXT
) STRICT;

CREATE INDEX schedule_firings_by_schedule ON schedule_firings (schedule_no, no);

-- Whose result may be used again in the place of an equal computation.
CREATE TABLE result_cache (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    key BLOB NOT NULL,
    task_no INTEGER NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    function TEXT,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX result_cache_by_task ON result_cache (task_no);
CREATE INDEX result_cache_by_function ON result_cache (tenant, function) WHERE function IS NOT NULL;

-- The artifact's object that an upload is a copy of.
ALTER TABLE uploads ADD COLUMN copied_from TEXT;
CREATE INDEX uploads_copied ON uploads (copied_from) WHERE copied_from IS NOT NULL;
