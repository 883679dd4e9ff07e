//! The schema's versions, one list for each database.

use super::connection::Conn;
use crate::StoreError;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr};

/// Version, name, text.
type Version = (i64, &'static str, &'static str);

const SQLITE: [Version; 15] = [
    (1, "start", include_str!("../../migrations/sqlite/0001_start.sql")),
    (2, "shared", include_str!("../../migrations/sqlite/0002_shared.sql")),
    (3, "objects", include_str!("../../migrations/sqlite/0003_objects.sql")),
    (4, "workers", include_str!("../../migrations/sqlite/0004_workers.sql")),
    (5, "events", include_str!("../../migrations/sqlite/0005_events.sql")),
    (6, "tenancy", include_str!("../../migrations/sqlite/0006_tenancy.sql")),
    (7, "upkeep", include_str!("../../migrations/sqlite/0007_upkeep.sql")),
    (8, "logs", include_str!("../../migrations/sqlite/0008_logs.sql")),
    (9, "containers", include_str!("../../migrations/sqlite/0009_containers.sql")),
    (10, "packages", include_str!("../../migrations/sqlite/0010_packages.sql")),
    (11, "ties", include_str!("../../migrations/sqlite/0011_ties.sql")),
    (12, "batches", include_str!("../../migrations/sqlite/0012_batches.sql")),
    (13, "workflows", include_str!("../../migrations/sqlite/0013_workflows.sql")),
    (14, "compiled", include_str!("../../migrations/sqlite/0014_compiled.sql")),
    (15, "kernels", include_str!("../../migrations/sqlite/0015_kernels.sql")),
];
const POSTGRES: [Version; 13] = [
    (1, "start", include_str!("../../migrations/postgres/0001_start.sql")),
    (2, "workers", include_str!("../../migrations/postgres/0002_workers.sql")),
    (3, "events", include_str!("../../migrations/postgres/0003_events.sql")),
    (4, "tenancy", include_str!("../../migrations/postgres/0004_tenancy.sql")),
    (5, "upkeep", include_str!("../../migrations/postgres/0005_upkeep.sql")),
    (6, "logs", include_str!("../../migrations/postgres/0006_logs.sql")),
    (7, "containers", include_str!("../../migrations/postgres/0007_containers.sql")),
    (8, "packages", include_str!("../../migrations/postgres/0008_packages.sql")),
    (9, "ties", include_str!("../../migrations/postgres/0009_ties.sql")),
    (10, "batches", include_str!("../../migrations/postgres/0010_batches.sql")),
    (11, "workflows", include_str!("../../migrations/postgres/0011_workflows.sql")),
    (12, "compiled", include_str!("../../migrations/postgres/0012_compiled.sql")),
    (13, "kernels", include_str!("../../migrations/postgres/0013_kernels.sql")),
];

/// How a database's schema stands to this program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaState {
    Current,
    /// Some versions are still to be applied.
    Behind {
        versions: usize,
    },
    /// It knows versions that this program doesn't.
    Ahead,
}

/// Brings a database up to this program's schema. Several processes may try at once: one does, the others wait.
pub(crate) async fn migrate(conn: &mut Conn) -> Result<(), StoreError> {
    match conn {
        Conn::Sqlite(conn) => migrator(&SQLITE).run(conn).await?,
        Conn::Postgres { conn, .. } => migrator(&POSTGRES).run(&mut **conn).await?,
    }
    Ok(())
}

/// Compares PostgreSQL's schema with this program's, without changing anything.
pub(crate) async fn postgres_state(conn: &mut PgConnection) -> Result<SchemaState, StoreError> {
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *conn).await?;
    let newest: i64 = match exists {
        true => {
            sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
                .fetch_one(conn)
                .await?
        }
        false => 0,
    };
    let missing = POSTGRES.iter().filter(|(version, ..)| *version > newest).count();
    let known = POSTGRES.iter().any(|(version, ..)| *version == newest);
    Ok(match missing {
        0 if known => SchemaState::Current,
        0 => SchemaState::Ahead,
        versions => SchemaState::Behind { versions },
    })
}

/// Lets a role that owns nothing use the tables, under their policies.
pub(crate) async fn grant_to(conn: &mut PgConnection, role: &str) -> Result<(), StoreError> {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let text = format!(
        "GRANT USAGE ON SCHEMA public TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}; \
         GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"
    );
    // The role is quoted as an identifier.
    conn.execute(AssertSqlSafe(text).into_sql_str()).await?;
    Ok(())
}

fn migrator(versions: &[Version]) -> Migrator {
    let migration = |(version, name, text): &Version| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(versions.iter().map(migration).collect())
}
