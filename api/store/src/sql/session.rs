//! Sessions with PostgreSQL: what each is asked for as it connects, and whether it is that.

use super::connection::STATEMENTS_MAX;
use crate::StoreError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row as _};
use std::str::FromStr;
use std::time::Duration;
use tokio::time::timeout;

/// How long a connection may take to be made.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// What the policies take for "every tenant": the process itself, not a request.
pub(super) const EVERY_TENANT: &str = "*";
/// A transaction of ours that stands still for so long has lost its process, or its process stands still: what it holds
/// must be free long before the leases of others end.
const IDLE_TRANSACTION_TIMEOUT: &str = "5s";

/// Settings and their values, as PostgreSQL writes them.
pub(super) type Settings = &'static [(&'static str, &'static str)];

/// How long one statement may take, and how long it may wait for a row that another transaction holds.
const STATEMENT_TIMEOUT: (&str, &str) = ("statement_timeout", "20s");
const LOCK_TIMEOUT: (&str, &str) = ("lock_timeout", "10s");
/// The connection that writes. A plan that is kept from when a table was empty must not walk the whole of it later.
pub(super) const WRITES: Settings = &[STATEMENT_TIMEOUT, LOCK_TIMEOUT, ("enable_seqscan", "off")];
pub(super) const READS: Settings = &[STATEMENT_TIMEOUT, LOCK_TIMEOUT, ("default_transaction_read_only", "on")];
/// A change of the schema, or a look at all there is, which take as long as the tables are large. What is under way when
/// the schema is to change may take its time, and so may another process that changes it.
pub(super) const MAINTAINS: Settings = &[("statement_timeout", "0"), ("lock_timeout", "10min")];

/// How to connect, and what for.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    options: PgConnectOptions,
    settings: Settings,
}

impl Session {
    pub(super) fn new(url: &str, settings: Settings) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?
            .application_name("mecapy")
            .statement_cache_capacity(STATEMENTS_MAX)
            .options([
                ("idle_in_transaction_session_timeout", IDLE_TRANSACTION_TIMEOUT),
                ("timezone", "UTC"),
                // No statement of ours runs long enough to be worth compiling, whatever the planner thinks that it costs.
                ("jit", "off"),
            ])
            .options(settings.iter().copied())
            .disable_statement_logging();
        Ok(Self { options, settings })
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// A connection that sees the rows of all tenants.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let connecting = async {
            let mut conn = self.options.connect().await?;
            enter(&mut conn, EVERY_TENANT, self.settings).await?;
            Ok(conn)
        };
        timeout(ACQUIRE_TIMEOUT, connecting).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
    }
}

/// Sets whose rows the policies show.
pub(super) async fn for_tenant(conn: &mut PgConnection, tenant: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('mecapy.tenant', $1, false)").bind(tenant).execute(conn).await.map(drop)
}

/// The same on a connection just made, which must have the settings that it was asked for. Where it has not, a pooler
/// stands between that drops them, and may well hand each statement to another session: then row security shows a
/// statement whatever tenant that session served last.
///
/// # Errors
/// [`StoreError::Session`] where it has not.
pub(super) async fn enter(conn: &mut PgConnection, tenant: &str, settings: Settings) -> Result<(), StoreError> {
    let shown: String = settings.iter().map(|(name, _)| format!(", current_setting('{name}')")).collect();
    // Made of texts of ours.
    let sql = AssertSqlSafe(format!("SELECT set_config('mecapy.tenant', $1, false){shown}"));
    let row = sqlx::query(sql).bind(tenant).fetch_one(conn).await?;
    for (at, (setting, value)) in (1_usize..).zip(settings) {
        if row.try_get::<&str, _>(at)? != *value {
            return Err(StoreError::Session { setting });
        }
    }
    Ok(())
}
