-- Many items of one computation. What it is to run is stored once; `sweep` describes the items, and where it is absent
-- `batch_inputs` has them. `completed`, `failed` and `cancelled` count items, `open_chunks` the tasks that have not
-- ended; `seq` rises with each change.
CREATE TABLE batches (
    no INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    name TEXT,
    state TEXT NOT NULL,
    lane TEXT NOT NULL,
    priority INTEGER NOT NULL,
    code TEXT NOT NULL,
    settings TEXT NOT NULL,
    labels TEXT,
    study BLOB,
    on_error TEXT NOT NULL,
    sweep TEXT,
    total INTEGER NOT NULL,
    open_chunks INTEGER NOT NULL,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    stopped INTEGER NOT NULL DEFAULT 0,
    seq INTEGER NOT NULL DEFAULT 1,
    idempotency_key TEXT,
    body_digest BLOB,
    created_ms INTEGER NOT NULL,
    started_ms INTEGER,
    completed_ms INTEGER
) STRICT;

CREATE INDEX batches_by_tenant ON batches (tenant, id);
CREATE UNIQUE INDEX batches_by_key ON batches (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The inputs of neighbouring items, a JSON array from item `first` on.
CREATE TABLE batch_inputs (
    batch_no INTEGER NOT NULL REFERENCES batches (no) ON DELETE CASCADE,
    first INTEGER NOT NULL,
    inputs TEXT NOT NULL,
    PRIMARY KEY (batch_no, first)
) STRICT;

-- The tasks that carry a batch out: task `no` runs `items` of the `count` items from `first` on. Where `again` is set
-- they have ended once, and the rows in `batch_items` that name the task in `again_no` are those.
CREATE TABLE batch_chunks (
    no INTEGER NOT NULL PRIMARY KEY REFERENCES tasks (no) ON DELETE CASCADE,
    batch_no INTEGER NOT NULL REFERENCES batches (no) ON DELETE CASCADE,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    items INTEGER NOT NULL,
    again INTEGER NOT NULL
) STRICT;

CREATE INDEX batch_chunks_by_batch ON batch_chunks (batch_no, no);

-- One row for each item that has ended. `chunk_no` is the task that ended it; without a `seed` it never began.
-- `again_no` is the task that is to end it anew: until that has, the row counts for nothing.
CREATE TABLE batch_items (
    batch_no INTEGER NOT NULL REFERENCES batches (no) ON DELETE CASCADE,
    item INTEGER NOT NULL,
    state TEXT NOT NULL,
    result TEXT,
    object_key TEXT,
    object_bytes INTEGER,
    object_sha256 BLOB,
    error TEXT,
    warnings TEXT,
    seed INTEGER,
    fuel INTEGER NOT NULL DEFAULT 0,
    memory_peak_bytes INTEGER NOT NULL DEFAULT 0,
    cpu_ms REAL NOT NULL DEFAULT 0,
    queued_ms REAL NOT NULL DEFAULT 0,
    startup_ms REAL NOT NULL DEFAULT 0,
    execute_ms REAL NOT NULL DEFAULT 0,
    chunk_no INTEGER NOT NULL,
    again_no INTEGER,
    PRIMARY KEY (batch_no, item)
) STRICT;

CREATE INDEX batch_items_not_completed ON batch_items (batch_no, item) WHERE state <> 'completed';
CREATE INDEX batch_items_again ON batch_items (again_no) WHERE again_no IS NOT NULL;
CREATE INDEX batch_items_objects ON batch_items (chunk_no) WHERE object_key IS NOT NULL;

-- An event may be of a batch or of a workflow run too, whose id is in `task` then; of a batch `items` counts its items.
ALTER TABLE tenant_events ADD COLUMN items TEXT;
