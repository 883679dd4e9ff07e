-- Many items of one computation. What it is to run is stored once; `sweep` describes the items, and where it is absent
-- `batch_inputs` has them. `completed`, `failed` and `cancelled` count items, `open_chunks` the tasks that have not
-- ended; `seq` rises with each change.
CREATE TABLE batches (
    no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    tenant UUID NOT NULL REFERENCES tenants (id),
    name TEXT,
    state TEXT NOT NULL,
    lane TEXT NOT NULL,
    priority BIGINT NOT NULL,
    code TEXT NOT NULL,
    settings TEXT NOT NULL,
    labels TEXT,
    study UUID,
    on_error TEXT NOT NULL,
    sweep TEXT,
    total BIGINT NOT NULL,
    open_chunks BIGINT NOT NULL,
    completed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    cancelled BIGINT NOT NULL DEFAULT 0,
    cancel_requested BIGINT NOT NULL DEFAULT 0,
    stopped BIGINT NOT NULL DEFAULT 0,
    seq BIGINT NOT NULL DEFAULT 1,
    idempotency_key TEXT,
    body_digest BYTEA,
    created_ms BIGINT NOT NULL,
    started_ms BIGINT,
    completed_ms BIGINT
) WITH (fillfactor = 50);

CREATE INDEX batches_by_tenant ON batches (tenant, id);
CREATE UNIQUE INDEX batches_by_key ON batches (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The inputs of neighbouring items, a JSON array from item `first` on.
CREATE TABLE batch_inputs (
    batch_no BIGINT NOT NULL REFERENCES batches (no) ON DELETE CASCADE,
    first BIGINT NOT NULL,
    inputs TEXT NOT NULL,
    PRIMARY KEY (batch_no, first)
);

-- The tasks that carry a batch out: task `no` runs `items` of the `count` items from `first` on. Where `again` is set
-- they have ended once, and the rows in `batch_items` that name the task in `again_no` are those.
CREATE TABLE batch_chunks (
    no BIGINT NOT NULL PRIMARY KEY REFERENCES tasks (no) ON DELETE CASCADE,
    batch_no BIGINT NOT NULL REFERENCES batches (no) ON DELETE CASCADE,
    first BIGINT NOT NULL,
    count BIGINT NOT NULL,
    items BIGINT NOT NULL,
    again BIGINT NOT NULL
);

CREATE INDEX batch_chunks_by_batch ON batch_chunks (batch_no, no);

-- One row for each item that has ended. `chunk_no` is the task that ended it; without a `seed` it never began.
-- `again_no` is the task that is to end it anew: until that has, the row counts for nothing.
CREATE TABLE batch_items (
    batch_no BIGINT NOT NULL REFERENCES batches (no) ON DELETE CASCADE,
    item BIGINT NOT NULL,
    state TEXT NOT NULL,
    result TEXT,
    object_key TEXT,
    object_bytes BIGINT,
    object_sha256 BYTEA,
    error TEXT,
    warnings TEXT,
    seed BIGINT,
    fuel BIGINT NOT NULL DEFAULT 0,
    memory_peak_bytes BIGINT NOT NULL DEFAULT 0,
    cpu_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
    queued_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
    startup_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
    execute_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
    chunk_no BIGINT NOT NULL,
    again_no BIGINT,
    PRIMARY KEY (batch_no, item)
);

CREATE INDEX batch_items_not_completed ON batch_items (batch_no, item) WHERE state <> 'completed';
CREATE INDEX batch_items_again ON batch_items (again_no) WHERE again_no IS NOT NULL;
CREATE INDEX batch_items_objects ON batch_items (chunk_no) WHERE object_key IS NOT NULL;

-- An event may be of a batch or of a workflow run too, whose id is in `task` then; of a batch `items` counts its items.
ALTER TABLE tenant_events ADD COLUMN items TEXT;

DO $$
DECLARE
    named TEXT;
    everything CONSTANT TEXT := 'current_setting(''mecapy.tenant'', true) = ''*''';
    own CONSTANT TEXT := 'tenant::text = current_setting(''mecapy.tenant'', true)';
BEGIN
    EXECUTE 'ALTER TABLE batches ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY';
    EXECUTE format('CREATE POLICY by_tenant ON batches USING (%s OR %s)', everything, own);
    -- A row of a batch is seen by whoever sees the batch.
    FOREACH named IN ARRAY ARRAY['batch_inputs', 'batch_chunks', 'batch_items'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY by_tenant ON %I USING (%s OR EXISTS (SELECT 1 FROM batches b WHERE b.no = %I.batch_no))',
            named, everything, named);
    END LOOP;
END $$;
