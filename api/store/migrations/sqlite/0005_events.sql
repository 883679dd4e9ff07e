-- What a tenant is told of: one row for each task that ended. `seq` numbers a tenant's events without a gap.
CREATE TABLE tenant_event_numbers (
    tenant BLOB NOT NULL PRIMARY KEY REFERENCES tenants (id),
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- All that is ever said of an event is in its row: the task may be deleted.
CREATE TABLE tenant_events (
    tenant BLOB NOT NULL,
    seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    task BLOB NOT NULL,
    name TEXT,
    lane TEXT NOT NULL,
    error_kind TEXT,
    PRIMARY KEY (tenant, seq)
) STRICT, WITHOUT ROWID;

-- Where events are sent. Secrets are derived from the installation's key and `secret_number`, not stored; the number
-- before signs too until `before_until_ms`.
CREATE TABLE webhooks (
    id BLOB NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    state TEXT NOT NULL,
    disabled_reason TEXT,
    failing_since_ms INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    secret_number INTEGER NOT NULL,
    before_until_ms INTEGER,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX webhooks_by_tenant ON webhooks (tenant, id);

-- The same for the URLs that tasks bring along; a tenant without a row has number 0.
CREATE TABLE task_webhook_secrets (
    tenant BLOB NOT NULL PRIMARY KEY REFERENCES tenants (id),
    secret_number INTEGER NOT NULL,
    before_until_ms INTEGER
) STRICT, WITHOUT ROWID;

-- What is sent, and how it went: written in the transaction that ends the task. `webhook` is absent where the task
-- brought the URL. `endpoint` is what has a few deliveries under way at once: a digest of the webhook, or of the
-- tenant and the origin of the URL. A claim moves `due_ms` to the end of its lease.
CREATE TABLE webhook_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL,
    webhook BLOB,
    endpoint BLOB NOT NULL,
    url TEXT NOT NULL,
    event BLOB NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL,
    lease_until_ms INTEGER,
    created_ms INTEGER NOT NULL,
    delivered_ms INTEGER,
    last_ms INTEGER,
    last_duration_ms INTEGER,
    last_status INTEGER,
    last_error TEXT,
    snippet TEXT
) STRICT;

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_ms) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint, due_ms) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (lease_until_ms) WHERE lease_until_ms IS NOT NULL;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook, id);

ALTER TABLE tasks ADD COLUMN webhook_url TEXT;
