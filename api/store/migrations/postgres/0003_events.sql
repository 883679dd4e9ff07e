-- What a tenant is told of: one row for each task that ended. `seq` numbers a tenant's events without a gap and in the
-- order of their commits: the tenant's row in `tenant_event_numbers` is locked from the moment that numbers are taken
-- to the commit, so that a reader who has seen one number has seen all below it.
CREATE TABLE tenant_event_numbers (
    tenant UUID NOT NULL PRIMARY KEY REFERENCES tenants (id),
    last BIGINT NOT NULL
) WITH (fillfactor = 50);

-- All that is ever said of an event is in its row: the task may be deleted.
CREATE TABLE tenant_events (
    tenant UUID NOT NULL,
    seq BIGINT NOT NULL,
    id UUID NOT NULL,
    at_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    task UUID NOT NULL,
    name TEXT,
    lane TEXT NOT NULL,
    error_kind TEXT,
    PRIMARY KEY (tenant, seq)
);

-- Where events are sent. Secrets are derived from the installation's key and `secret_number`, not stored; the number
-- before signs too until `before_until_ms`.
CREATE TABLE webhooks (
    id UUID NOT NULL PRIMARY KEY,
    tenant UUID NOT NULL REFERENCES tenants (id),
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    state TEXT NOT NULL,
    disabled_reason TEXT,
    failing_since_ms BIGINT,
    failures BIGINT NOT NULL DEFAULT 0,
    secret_number BIGINT NOT NULL,
    before_until_ms BIGINT,
    created_ms BIGINT NOT NULL
);

CREATE INDEX webhooks_by_tenant ON webhooks (tenant, id);

-- The same for the URLs that tasks bring along; a tenant without a row has number 0.
CREATE TABLE task_webhook_secrets (
    tenant UUID NOT NULL PRIMARY KEY REFERENCES tenants (id),
    secret_number BIGINT NOT NULL,
    before_until_ms BIGINT
);

-- What is sent, and how it went: written in the transaction that ends the task. `webhook` is absent where the task
-- brought the URL. `endpoint` is what has a few deliveries under way at once: a digest of the webhook, or of the
-- tenant and the origin of the URL. A claim moves `due_ms` to the end of its lease.
CREATE TABLE webhook_deliveries (
    id UUID NOT NULL PRIMARY KEY,
    tenant UUID NOT NULL,
    webhook UUID,
    endpoint UUID NOT NULL,
    url TEXT NOT NULL,
    event UUID NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    due_ms BIGINT NOT NULL,
    lease_until_ms BIGINT,
    created_ms BIGINT NOT NULL,
    delivered_ms BIGINT,
    last_ms BIGINT,
    last_duration_ms BIGINT,
    last_status BIGINT,
    last_error TEXT,
    snippet TEXT
) WITH (fillfactor = 85);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_ms) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint, due_ms) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (lease_until_ms) WHERE lease_until_ms IS NOT NULL;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook, id);

ALTER TABLE tasks ADD COLUMN webhook_url TEXT;

DO $$
DECLARE
    named TEXT;
    everything CONSTANT TEXT := 'current_setting(''mecapy.tenant'', true) = ''*''';
    own CONSTANT TEXT := 'tenant::text = current_setting(''mecapy.tenant'', true)';
BEGIN
    FOREACH named IN ARRAY ARRAY['tenant_event_numbers', 'tenant_events', 'webhooks', 'task_webhook_secrets', 'webhook_deliveries'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', named);
        EXECUTE format('CREATE POLICY by_tenant ON %I USING (%s OR %s)', named, everything, own);
    END LOOP;
END $$;
