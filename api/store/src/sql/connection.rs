//! Connections to SQLite and PostgreSQL, one that writes and a pool that reads.

use super::lent::Lent;
use super::query::{ANSWER_TIMEOUT, Row, answered};
use super::schema::{SchemaState, postgres_state};
use super::session::{ACQUIRE_TIMEOUT, EVERY_TENANT, MAINTAINS, READS, Session, WRITES, enter, for_tenant};
use crate::StoreError;
use mecapy_model::TenantId;
use sqlx::postgres::{PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor as _, PgPool, Row as _, SqlitePool};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long a statement waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// The writer's page cache, in KiB.
const WRITER_CACHE_KIB: u32 = 64 << 10;
/// The write-ahead log's length, in pages, at which a commit moves it into the database.
const CHECKPOINT_PAGES: u32 = 4_096;
/// Prepared statements that the writer keeps: every statement in each power-of-two length.
pub(super) const STATEMENTS_MAX: usize = 256;
/// Beginning a transaction waits for nobody: a connection that takes longer leads nowhere any more.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_CONNECTION: Duration = Duration::from_secs(10 * 60);
/// So that servers behind one name are found again after a change.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(30 * 60);
/// What the policies show nothing to: a tenant's connection that serves none yet.
const NO_TENANT: &str = "";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// What locks the rows of a SELECT until the transaction ends. SQLite's writer is alone anyway.
    pub(crate) fn lock_rows(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
            Dialect::Postgres => " FOR UPDATE",
        }
    }

    /// The same, for the rows that nobody else has locked.
    pub(crate) fn lock_free_rows(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
            Dialect::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }
}

/// The connection that writes.
#[derive(Debug)]
pub(crate) enum Conn {
    Sqlite(SqliteConnection),
    Postgres {
        conn: Box<PgConnection>,
        session: Box<Session>,
        /// No transaction is open, for all that is known: the end of the last one was confirmed.
        is_settled: bool,
    },
}

/// Connections that read, for the process itself.
#[derive(Debug)]
pub(crate) enum Readers {
    Sqlite(SqlitePool),
    Postgres { own: PgPool, of_tenants: PgPool },
}

/// A connection that reads for one tenant.
#[derive(Debug)]
pub(crate) enum Reader<'p> {
    Sqlite(&'p SqlitePool),
    Postgres(Lent),
}

/// Whatever executes a query.
pub(crate) enum Executor<'c> {
    Sqlite(&'c mut SqliteConnection),
    SqlitePool(&'c SqlitePool),
    Postgres(&'c mut PgConnection),
    PostgresPool(&'c PgPool),
}

impl Executor<'_> {
    pub(crate) fn reborrow(&mut self) -> Executor<'_> {
        match self {
            Executor::Sqlite(conn) => Executor::Sqlite(conn),
            Executor::SqlitePool(pool) => Executor::SqlitePool(pool),
            Executor::Postgres(conn) => Executor::Postgres(conn),
            Executor::PostgresPool(pool) => Executor::PostgresPool(pool),
        }
    }
}

impl<'c> From<&'c mut Conn> for Executor<'c> {
    fn from(conn: &'c mut Conn) -> Self {
        match conn {
            Conn::Sqlite(conn) => Executor::Sqlite(conn),
            Conn::Postgres { conn, .. } => Executor::Postgres(conn),
        }
    }
}

impl<'c> From<&'c Readers> for Executor<'c> {
    fn from(readers: &'c Readers) -> Self {
        match readers {
            Readers::Sqlite(pool) => Executor::SqlitePool(pool),
            Readers::Postgres { own, .. } => Executor::PostgresPool(own),
        }
    }
}

impl<'c> From<&'c mut Reader<'_>> for Executor<'c> {
    fn from(reader: &'c mut Reader<'_>) -> Self {
        match reader {
            Reader::Sqlite(pool) => Executor::SqlitePool(pool),
            Reader::Postgres(conn) => Executor::Postgres(conn),
        }
    }
}

impl Conn {
    pub(crate) async fn open_sqlite(file: &Path) -> Result<Self, StoreError> {
        let options = sqlite_options(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(STATEMENTS_MAX)
            .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("trusted_schema", "OFF")
            .thread_name(|number| format!("mecapy-sqlite-w{number}"));
        Ok(Conn::Sqlite(options.connect().await?))
    }

    /// A connection that changes nothing, beside a server that may be using the file.
    pub(crate) async fn open_sqlite_to_read(file: &Path) -> Result<Self, StoreError> {
        Ok(Conn::Sqlite(sqlite_options(file).read_only(true).connect().await?))
    }

    pub(crate) async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        Self::connect(Session::new(url, WRITES)?).await
    }

    /// For what takes as long as the tables are large.
    pub(crate) async fn open_postgres_to_maintain(url: &str) -> Result<Self, StoreError> {
        Self::connect(Session::new(url, MAINTAINS)?).await
    }

    async fn connect(session: Session) -> Result<Self, StoreError> {
        let conn = Box::new(session.connect().await?);
        Ok(Conn::Postgres { conn, session: Box::new(session), is_settled: true })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Conn::Sqlite(_) => Dialect::Sqlite,
            Conn::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// How the schema stands to this program's; SQLite's is brought up to date when it is opened.
    pub(crate) async fn schema_state(&mut self) -> Result<SchemaState, StoreError> {
        match self {
            Conn::Sqlite(_) => Ok(SchemaState::Current),
            Conn::Postgres { conn, .. } => postgres_state(conn).await,
        }
    }

    pub(crate) async fn must_be_current(&mut self) -> Result<(), StoreError> {
        match self.schema_state().await? {
            SchemaState::Current => Ok(()),
            SchemaState::Behind { .. } => Err(StoreError::Schema { advice: crate::cluster::BEHIND }),
            SchemaState::Ahead => Err(StoreError::Schema { advice: crate::cluster::AHEAD }),
        }
    }

    /// Begins a transaction that may write; a connection to PostgreSQL that broke, does not answer or may still be in the
    /// one before is made anew.
    pub(crate) async fn begin(&mut self, opening: &Opening) -> Result<Begun, StoreError> {
        match self {
            Conn::Sqlite(conn) => {
                conn.execute("BEGIN IMMEDIATE").await?;
                Ok(Begun::default())
            }
            Conn::Postgres { conn, session, is_settled } => {
                let begun = match std::mem::replace(is_settled, false) {
                    true => timeout(BEGIN_TIMEOUT, sqlx::raw_sql(opening.sql()).fetch_all(&mut **conn)).await.ok(),
                    // In a transaction BEGIN does nothing but warn, and COMMIT would commit both.
                    false => None,
                };
                let rows = match begun {
                    Some(Ok(rows)) => rows,
                    _ => {
                        **conn = session.connect().await?;
                        sqlx::raw_sql(opening.sql()).fetch_all(&mut **conn).await?
                    }
                };
                let mut rows = rows.into_iter();
                let row = rows.next().ok_or(sqlx::Error::RowNotFound)?;
                let taken: Vec<bool> = row.try_get(1)?;
                let held = opening.locks.iter().zip(taken).filter_map(|(lock, taken)| taken.then_some(*lock)).collect();
                Ok(Begun {
                    now_ms: Some(row.try_get(0)?),
                    held,
                    numbers: row.try_get(2)?,
                    tenant: rows.next().map(Row::Postgres),
                })
            }
        }
    }

    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        self.end("COMMIT").await
    }

    pub(crate) async fn roll_back(&mut self) {
        // An error may have ended the transaction already; then there is nothing to roll back. What does not answer is
        // replaced when the next transaction begins.
        let _ = timeout(BEGIN_TIMEOUT, self.end("ROLLBACK")).await;
    }

    /// Ends a transaction. Where the answer does not come, or nobody waits for it any more, it may be open for longer.
    async fn end(&mut self, how: &'static str) -> Result<(), StoreError> {
        self.command(how).await?;
        self.set_settled(true);
        Ok(())
    }

    /// Whether the end of the last transaction was confirmed. A statement may be one of its own only then.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Conn::Sqlite(_) => true,
            Conn::Postgres { is_settled, .. } => *is_settled,
        }
    }

    /// A statement that is a transaction of its own is not settled until it is answered.
    pub(crate) fn set_settled(&mut self, settled: bool) {
        if let Conn::Postgres { is_settled, .. } = self {
            *is_settled = settled;
        }
    }

    /// Executes texts without values, several at a time.
    pub(crate) async fn command(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match self {
            Conn::Sqlite(conn) => conn.execute(sql).await.map(drop)?,
            Conn::Postgres { conn, .. } => conn.execute(sql).await.map(drop)?,
        }
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<(), StoreError> {
        match self {
            Conn::Sqlite(conn) => conn.close().await?,
            Conn::Postgres { conn, .. } => conn.close().await?,
        }
        Ok(())
    }
}

impl Readers {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Readers::Sqlite(_) => Dialect::Sqlite,
            Readers::Postgres { .. } => Dialect::Postgres,
        }
    }

    pub(crate) async fn open_sqlite(file: &Path, connections: u32) -> Result<Self, StoreError> {
        let options = sqlite_options(file).read_only(true);
        let options = options.thread_name(|number| format!("mecapy-sqlite-r{number}"));
        let pool = SqlitePoolOptions::new().max_connections(connections.max(1)).test_before_acquire(false);
        Ok(Readers::Sqlite(pool.connect_with(options).await?))
    }

    /// Half of the connections serve tenants, the rest the process itself.
    pub(crate) async fn open_postgres(url: &str, connections: u32) -> Result<Self, StoreError> {
        let session = Session::new(url, READS)?;
        // A pool would try again and again, and then say no more than that it took too long.
        session.connect().await?.close().await?;
        let half = connections.div_ceil(2).max(1);
        let pool = |tenant: &'static str| {
            PgPoolOptions::new()
                .after_connect(move |conn, _| {
                    let entering = enter(conn, tenant, READS);
                    Box::pin(async { entering.await.map_err(|error| sqlx::Error::Configuration(Box::new(error))) })
                })
                .max_connections(half)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(IDLE_CONNECTION)
                .max_lifetime(CONNECTION_LIFETIME)
                // A connection that broke is replaced when it is used next, at the price of one failed read.
                .test_before_acquire(false)
        };
        Ok(Readers::Postgres {
            own: pool(EVERY_TENANT).connect_lazy_with(session.options()),
            of_tenants: pool(NO_TENANT).connect_lazy_with(session.options()),
        })
    }

    /// A connection that sees the rows of one tenant alone (SQLite: of all; there the queries are the only guard).
    pub(crate) async fn of(&self, tenant: TenantId) -> Result<Reader<'_>, StoreError> {
        match self {
            Readers::Sqlite(pool) => Ok(Reader::Sqlite(pool)),
            Readers::Postgres { of_tenants, .. } => {
                let mut conn = Lent::of(of_tenants).await?;
                answered(ANSWER_TIMEOUT, for_tenant(&mut conn, &tenant.to_string())).await?;
                Ok(Reader::Postgres(conn))
            }
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Readers::Sqlite(pool) => pool.close().await,
            Readers::Postgres { own, of_tenants } => {
                own.close().await;
                of_tenants.close().await;
            }
        }
    }
}

/// What PostgreSQL is asked for in the trip that begins a transaction.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// Advisory locks to try.
    pub(crate) locks: Vec<i64>,
    /// How many numbers for new tasks.
    pub(crate) numbers: usize,
    /// Whose row to lock, unless somebody else has. Of one tenant alone: several would have to be waited for in order.
    pub(crate) tenant: Option<TenantId>,
}

/// What a transaction began with.
#[derive(Debug, Default)]
pub(crate) struct Begun {
    /// The time on PostgreSQL's clock, Unix milliseconds.
    pub(crate) now_ms: Option<i64>,
    /// The advisory locks that were taken.
    pub(crate) held: Vec<i64>,
    /// Numbers for new tasks.
    pub(crate) numbers: Vec<i64>,
    /// The tenant's row, where it could be locked: its id, whether it is disabled, its quota and its name.
    pub(crate) tenant: Option<Row>,
}

impl Opening {
    fn sql(&self) -> AssertSqlSafe<String> {
        let tries: Vec<String> = self.locks.iter().map(|key| format!("pg_try_advisory_xact_lock({key})")).collect();
        // A function that makes rows is dear for a few.
        let numbers = match self.numbers {
            few @ 0..=4 => format!("ARRAY[{}]", vec!["nextval('task_numbers')"; few].join(", ")),
            many => format!("ARRAY(SELECT nextval('task_numbers') FROM generate_series(1, {many}))"),
        };
        let tenant = self.tenant.map_or_else(String::new, |tenant| {
            format!(
                "; SELECT id, disabled, quota, name FROM tenants WHERE id = '{tenant}' FOR NO KEY UPDATE SKIP LOCKED"
            )
        });
        // Made of texts of ours, numbers and a UUID.
        AssertSqlSafe(format!(
            "BEGIN; SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT), \
             CAST(ARRAY[{}] AS BOOLEAN[]), CAST({numbers} AS BIGINT[]){tenant}",
            tries.join(", ")
        ))
    }
}

fn sqlite_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).foreign_keys(true).busy_timeout(BUSY_TIMEOUT).disable_statement_logging()
}
