-- What a source was compiled to, or why it could not be, under the SHA-256 of the source and of all that it was compiled
-- with. Nothing of it is authority: who finds nothing compiles again.
CREATE TABLE compiled_modules (
    tenant BLOB NOT NULL REFERENCES tenants (id),
    key BLOB NOT NULL,
    -- Absent where the source has errors.
    module BLOB,
    error TEXT,
    warnings TEXT NOT NULL,
    compile_ms REAL NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

-- Of a task whose source was compiled: how long that took.
ALTER TABLE tasks ADD COLUMN compile_ms REAL;
-- A task that compiles for a preview is the platform's own: it is not listed and tells nobody of its end.
ALTER TABLE tasks ADD COLUMN internal INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tasks_internal ON tasks (tenant, completed_ms) WHERE internal = 1;
ALTER TABLE task_usage ADD COLUMN compile_ms REAL;
