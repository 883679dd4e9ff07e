-- Names compare byte by byte, as SQLite compares them.

-- An owner's name belongs to the tenant that first published under it.
CREATE TABLE package_owners (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant UUID NOT NULL REFERENCES tenants (id),
    created_ms BIGINT NOT NULL
);

CREATE INDEX package_owners_by_tenant ON package_owners (tenant);

-- `tenant` is the owner's. Visibility and description are those of the version that was published last.
CREATE TABLE packages (
    owner TEXT COLLATE "C" NOT NULL REFERENCES package_owners (name),
    name TEXT COLLATE "C" NOT NULL,
    tenant UUID NOT NULL REFERENCES tenants (id),
    visibility TEXT NOT NULL,
    description TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (owner, name)
);

-- Who may publish further versions, in the order that they were named in.
CREATE TABLE package_maintainers (
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    principal UUID NOT NULL,
    display_name TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (owner, name, principal),
    FOREIGN KEY (owner, name) REFERENCES packages (owner, name)
);

-- Written once but for the yank. `digest` is of the package's content, and the zip is an object.
CREATE TABLE package_versions (
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    tenant UUID NOT NULL REFERENCES tenants (id),
    description TEXT NOT NULL,
    digest BYTEA NOT NULL,
    size_bytes BIGINT NOT NULL,
    object_key TEXT NOT NULL,
    manifest TEXT NOT NULL,
    report TEXT NOT NULL,
    published_ms BIGINT NOT NULL,
    publisher UUID NOT NULL,
    published_by TEXT NOT NULL,
    yanked_ms BIGINT,
    yank_reason TEXT,
    PRIMARY KEY (owner, name, version),
    FOREIGN KEY (owner, name) REFERENCES packages (owner, name)
);

CREATE INDEX package_versions_by_tenant ON package_versions (tenant, digest) INCLUDE (size_bytes);

-- The published function that a task calls, as owner/package#name.
ALTER TABLE tasks ADD COLUMN function TEXT;

DO $$
DECLARE
    named TEXT;
    everything CONSTANT TEXT := 'current_setting(''mecapy.tenant'', true) = ''*''';
    own CONSTANT TEXT := 'tenant::text = current_setting(''mecapy.tenant'', true)';
    -- Seen by whoever sees the package.
    seen CONSTANT TEXT := 'EXISTS (SELECT 1 FROM packages p WHERE p.owner = %1$I.owner AND p.name = %1$I.name)';
BEGIN
    FOREACH named IN ARRAY ARRAY['package_owners', 'packages', 'package_maintainers', 'package_versions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', named);
    END LOOP;
    FOREACH named IN ARRAY ARRAY['package_owners', 'packages', 'package_versions'] LOOP
        EXECUTE format('CREATE POLICY by_tenant ON %I USING (%s OR %s)', named, everything, own);
    END LOOP;
    EXECUTE format('CREATE POLICY by_tenant ON package_maintainers USING (%s OR EXISTS (SELECT 1 FROM packages p '
        'WHERE p.owner = package_maintainers.owner AND p.name = package_maintainers.name AND p.%s))', everything, own);
    -- Another tenant's package that is public can be read, and nothing else; unset, nothing is seen.
    EXECUTE 'CREATE POLICY public_to_read ON packages FOR SELECT USING '
        '(visibility = ''public'' AND current_setting(''mecapy.tenant'', true) <> '''')';
    FOREACH named IN ARRAY ARRAY['package_maintainers', 'package_versions'] LOOP
        EXECUTE format('CREATE POLICY public_to_read ON %I FOR SELECT USING (' || seen || ')', named);
    END LOOP;
END $$;
