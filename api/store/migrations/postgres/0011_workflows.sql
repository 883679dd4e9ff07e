-- A graph of nodes by its name. What it is stands in its versions, which never change; `version` is the newest.
CREATE TABLE workflows (
    no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL,
    tenant UUID NOT NULL REFERENCES tenants (id),
    name TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE UNIQUE INDEX workflows_by_id ON workflows (tenant, id);
CREATE UNIQUE INDEX workflows_by_name ON workflows (tenant, name);

CREATE TABLE workflow_versions (
    workflow_no BIGINT NOT NULL REFERENCES workflows (no) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    definition TEXT NOT NULL,
    saved_ms BIGINT NOT NULL
);

CREATE UNIQUE INDEX workflow_versions_by_number ON workflow_versions (workflow_no, version);

-- One execution of a workflow. `seq` is the number of the newest event of its log: who adds to the log names the number
-- that it went by, so that of two who plan at the same time one adds. A run is due where its inbox holds something or
-- `wake_ms` has come, but not before `held_until_ms`.
CREATE TABLE workflow_runs (
    no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL,
    tenant UUID NOT NULL REFERENCES tenants (id),
    workflow UUID NOT NULL,
    version BIGINT NOT NULL,
    name TEXT,
    state TEXT NOT NULL,
    seq BIGINT NOT NULL,
    parent UUID,
    parent_node TEXT,
    parent_index BIGINT,
    depth BIGINT NOT NULL,
    study UUID,
    created_ms BIGINT NOT NULL,
    completed_ms BIGINT,
    wake_ms BIGINT,
    held_until_ms BIGINT,
    error TEXT,
    idempotency_key TEXT,
    body_digest BYTEA
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE UNIQUE INDEX workflow_runs_by_id ON workflow_runs (tenant, id);
CREATE UNIQUE INDEX workflow_runs_by_key ON workflow_runs (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX workflow_runs_by_workflow ON workflow_runs (workflow, id);
CREATE INDEX workflow_runs_by_study ON workflow_runs (tenant, study, id) WHERE study IS NOT NULL;
CREATE INDEX workflow_runs_by_parent ON workflow_runs (tenant, parent, id) WHERE parent IS NOT NULL;
CREATE INDEX workflow_runs_to_wake ON workflow_runs (wake_ms) WHERE wake_ms IS NOT NULL;

-- What may be large and is not written again with each step.
CREATE TABLE workflow_run_texts (
    run_no BIGINT NOT NULL PRIMARY KEY REFERENCES workflow_runs (no) ON DELETE CASCADE,
    inputs TEXT NOT NULL,
    pins TEXT NOT NULL,
    labels TEXT,
    outputs TEXT
);

CREATE TABLE run_events (
    run_no BIGINT NOT NULL REFERENCES workflow_runs (no) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_no, seq)
);

-- What a run has to take in. A row is written in the transaction of what it tells, and deleted in that of the events that
-- follow from it. Numbers are never given twice.
CREATE TABLE run_inbox (
    no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_no BIGINT NOT NULL REFERENCES workflow_runs (no) ON DELETE CASCADE,
    body TEXT NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX run_inbox_by_run ON run_inbox (run_no, no);

CREATE INDEX tasks_by_run ON tasks (tenant, run, id) WHERE run IS NOT NULL;
CREATE INDEX tasks_by_study ON tasks (tenant, study, id) WHERE study IS NOT NULL;
CREATE INDEX batches_by_study ON batches (tenant, study, id) WHERE study IS NOT NULL;

CREATE TABLE studies (
    id UUID NOT NULL,
    tenant UUID NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

-- `next_ms` is when it fires next: who fires it names that time, so that of many who try one fires. `last_task` or
-- `last_run` is what it started last.
CREATE TABLE schedules (
    no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL,
    tenant UUID NOT NULL REFERENCES tenants (id),
    name TEXT,
    cron TEXT NOT NULL,
    timezone TEXT NOT NULL,
    work TEXT NOT NULL,
    missed TEXT NOT NULL,
    overlap TEXT NOT NULL,
    paused BIGINT NOT NULL DEFAULT 0,
    next_ms BIGINT,
    last_task UUID,
    last_run UUID,
    created_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL
);

CREATE UNIQUE INDEX schedules_by_id ON schedules (tenant, id);
CREATE INDEX schedules_due ON schedules (next_ms) WHERE paused = 0 AND next_ms IS NOT NULL;

CREATE TABLE schedule_firings (
    no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule_no BIGINT NOT NULL REFERENCES schedules (no) ON DELETE CASCADE,
    due_ms BIGINT NOT NULL,
    fired_ms BIGINT NOT NULL,
    task UUID,
    run UUID,
    note TEXT
);

CREATE INDEX schedule_firings_by_schedule ON schedule_firings (schedule_no, no);

-- Whose result may be used again in the place of an equal computation.
CREATE TABLE result_cache (
    tenant UUID NOT NULL REFERENCES tenants (id),
    key BYTEA NOT NULL,
    task_no BIGINT NOT NULL REFERENCES tasks (no) ON DELETE CASCADE,
    function TEXT,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);

CREATE INDEX result_cache_by_task ON result_cache (task_no);
CREATE INDEX result_cache_by_function ON result_cache (tenant, function) WHERE function IS NOT NULL;

-- The artifact's object that an upload is a copy of.
ALTER TABLE uploads ADD COLUMN copied_from TEXT;
CREATE INDEX uploads_copied ON uploads (copied_from) WHERE copied_from IS NOT NULL;

DO $$
DECLARE
    named TEXT;
    of_whom TEXT[];
    everything CONSTANT TEXT := 'current_setting(''mecapy.tenant'', true) = ''*''';
    own CONSTANT TEXT := 'tenant::text = current_setting(''mecapy.tenant'', true)';
BEGIN
    FOREACH named IN ARRAY ARRAY['workflows', 'workflow_runs', 'studies', 'schedules', 'result_cache'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY by_tenant ON %I USING (%s OR %s)', named, everything, own);
    END LOOP;
    -- A row of another one is seen by whoever sees that.
    FOREACH of_whom SLICE 1 IN ARRAY ARRAY[
        ['workflow_versions', 'workflows', 'workflow_no'], ['workflow_run_texts', 'workflow_runs', 'run_no'],
        ['run_events', 'workflow_runs', 'run_no'], ['run_inbox', 'workflow_runs', 'run_no'],
        ['schedule_firings', 'schedules', 'schedule_no']
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', of_whom[1]);
        EXECUTE format('CREATE POLICY by_tenant ON %I USING (%s OR EXISTS (SELECT 1 FROM %I o WHERE o.no = %I.%I))',
            of_whom[1], everything, of_whom[2], of_whom[1], of_whom[3]);
    END LOOP;
END $$;
