-- A tenant's own limits over those of the server, as JSON.
ALTER TABLE tenants ADD COLUMN quota TEXT;
CREATE INDEX tenants_with_quota ON tenants (id) WHERE quota IS NOT NULL;

-- What a key is narrowed to, as a JSON list; absent: all that its role may.
ALTER TABLE api_keys ADD COLUMN scopes TEXT;
ALTER TABLE api_keys ADD COLUMN last_used_ms BIGINT;

-- What the first answer said, for those after it.
ALTER TABLE idempotency ADD COLUMN queue_position BIGINT;

-- Usage outlives its task, so it keeps what it is added up by.
ALTER TABLE task_usage ADD COLUMN lane TEXT;
UPDATE task_usage SET lane = (SELECT lane FROM tasks WHERE tasks.no = task_usage.no);
CREATE INDEX task_usage_by_time ON task_usage (tenant, at_ms) INCLUDE (fuel);
CREATE INDEX preview_usage_by_time ON preview_usage (tenant, at_ms) INCLUDE (fuel);

ALTER TABLE artifacts ADD COLUMN tenant UUID REFERENCES tenants (id);
UPDATE artifacts SET tenant = (SELECT tenant FROM tasks WHERE tasks.no = artifacts.no);
CREATE INDEX artifacts_by_tenant ON artifacts (tenant, size_bytes);

-- Who changed what, written in the transaction of the change. `tenant` is whose things were changed. Never holds a
-- secret.
CREATE TABLE audit (
    no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant UUID NOT NULL REFERENCES tenants (id),
    at_ms BIGINT NOT NULL,
    principal TEXT NOT NULL,
    principal_name TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT,
    request_id TEXT
);

CREATE INDEX audit_by_tenant ON audit (tenant, no);

-- Without a policy for them, changes and deletions find no row: the log is only added to.
ALTER TABLE audit ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY read_by_tenant ON audit FOR SELECT USING (
    current_setting('mecapy.tenant', true) = '*' OR tenant::text = current_setting('mecapy.tenant', true));
CREATE POLICY added_to ON audit FOR INSERT WITH CHECK (
    current_setting('mecapy.tenant', true) = '*' OR tenant::text = current_setting('mecapy.tenant', true));
