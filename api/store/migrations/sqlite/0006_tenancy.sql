-- A tenant's own limits over those of the server, as JSON.
ALTER TABLE tenants ADD COLUMN quota TEXT;

-- What a key is narrowed to, as a JSON list; absent: all that its role may.
ALTER TABLE api_keys ADD COLUMN scopes TEXT;
ALTER TABLE api_keys ADD COLUMN last_used_ms INTEGER;

-- What the first answer said, for those after it.
ALTER TABLE idempotency ADD COLUMN queue_position INTEGER;

-- Usage outlives its task, so it keeps what it is added up by.
ALTER TABLE task_usage ADD COLUMN lane TEXT;
UPDATE task_usage SET lane = (SELECT lane FROM tasks WHERE tasks.no = task_usage.no);
CREATE INDEX task_usage_by_time ON task_usage (tenant, at_ms, fuel);
CREATE INDEX preview_usage_by_time ON preview_usage (tenant, at_ms, fuel);

ALTER TABLE artifacts ADD COLUMN tenant BLOB REFERENCES tenants (id);
UPDATE artifacts SET tenant = (SELECT tenant FROM tasks WHERE tasks.no = artifacts.no);
CREATE INDEX artifacts_by_tenant ON artifacts (tenant, size_bytes);

-- Who changed what, written in the transaction of the change. `tenant` is whose things were changed. Never holds a
-- secret.
CREATE TABLE audit (
    no INTEGER NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    at_ms INTEGER NOT NULL,
    principal TEXT NOT NULL,
    principal_name TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT,
    request_id TEXT
) STRICT;

CREATE INDEX audit_by_tenant ON audit (tenant, no);

CREATE TRIGGER audit_keeps_what_it_says BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;
CREATE TRIGGER audit_keeps_what_it_has BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is only added to');
END;
