-- An owner's name belongs to the tenant that first published under it.
CREATE TABLE package_owners (
    name TEXT NOT NULL PRIMARY KEY,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `tenant` is the owner's. Visibility and description are those of the version that was published last.
CREATE TABLE packages (
    owner TEXT NOT NULL REFERENCES package_owners (name),
    name TEXT NOT NULL,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    visibility TEXT NOT NULL,
    description TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

-- Who may publish further versions, in the order that they were named in.
CREATE TABLE package_maintainers (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    principal BLOB NOT NULL,
    display_name TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (owner, name, principal),
    FOREIGN KEY (owner, name) REFERENCES packages (owner, name)
) STRICT, WITHOUT ROWID;

-- Written once but for the yank. `digest` is of the package's content, and the zip is an object.
CREATE TABLE package_versions (
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    tenant BLOB NOT NULL REFERENCES tenants (id),
    description TEXT NOT NULL,
    digest BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    object_key TEXT NOT NULL,
    manifest TEXT NOT NULL,
    report TEXT NOT NULL,
    published_ms INTEGER NOT NULL,
    publisher BLOB NOT NULL,
    published_by TEXT NOT NULL,
    yanked_ms INTEGER,
    yank_reason TEXT,
    FOREIGN KEY (owner, name) REFERENCES packages (owner, name)
) STRICT;

CREATE UNIQUE INDEX package_versions_by_name ON package_versions (owner, name, version);
CREATE INDEX package_versions_by_tenant ON package_versions (tenant, digest, size_bytes);

-- The published function that a task calls, as owner/package#name.
ALTER TABLE tasks ADD COLUMN function TEXT;
