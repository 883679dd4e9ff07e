//! Looking at a database without working on it: for a diagnosis.

use crate::StoreError;
use crate::sql::{Conn, Opening, SchemaState, query};
use std::time::{Duration, Instant};

/// Commits that are timed; the quickest counts.
const COMMITS: usize = 5;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFindings {
    /// The server's, as it says it.
    pub version: String,
    pub schema: SchemaState,
    /// Whom the URL logs in as.
    pub role: String,
    /// Row security does not bind it: a superuser, or made with BYPASSRLS.
    pub escapes_row_security: bool,
    /// It made the tables, so it could switch row security off.
    pub owns_tables: bool,
    /// How long a write and its commit take; `None` where the schema is not this program's.
    pub commit: Option<Duration>,
}

/// Logs in to PostgreSQL and looks around. Changes nothing.
pub async fn probe_database(url: &str) -> Result<DatabaseFindings, StoreError> {
    let mut conn = Conn::open_postgres(url).await?;
    let sql = "SELECT current_setting('server_version'), CAST(r.rolname AS TEXT), r.rolsuper OR r.rolbypassrls, \
               EXISTS (SELECT 1 FROM pg_class c WHERE c.oid = to_regclass('tasks') AND c.relowner = r.oid) \
               FROM pg_roles r WHERE r.rolname = current_user";
    let row = query(sql).fetch_one(&mut conn).await?;
    let mut findings = DatabaseFindings {
        version: row.try_get(0)?,
        schema: conn.schema_state().await?,
        role: row.try_get(1)?,
        escapes_row_security: row.try_get(2)?,
        owns_tables: row.try_get(3)?,
        commit: None,
    };
    if findings.schema == SchemaState::Current {
        findings.commit = Some(quickest_commit(&mut conn).await?);
    }
    conn.close().await?;
    Ok(findings)
}

async fn quickest_commit(conn: &mut Conn) -> Result<Duration, StoreError> {
    let mut quickest = Duration::MAX;
    for _ in 0..COMMITS {
        let started = Instant::now();
        conn.begin(&Opening::default()).await?;
        // A row that is written as it is makes a commit wait for the log, as any other does.
        query("UPDATE access_version SET version = version").execute(&mut *conn).await?;
        conn.commit().await?;
        quickest = quickest.min(started.elapsed());
    }
    Ok(quickest)
}
