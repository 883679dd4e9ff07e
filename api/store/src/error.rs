//! How the store itself fails. What a caller asked wrongly is an error of its operation, not one of these.

use crate::OverQuota;
use std::path::PathBuf;
use std::sync::Arc;

/// The store could not do its work.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the data folder {} is in use by {}", folder.display(), holder(*pid))]
    Locked { folder: PathBuf, pid: Option<u32> },
    #[error("the database failed")]
    Database(#[source] Arc<sqlx::Error>),
    #[error("the database's schema could not be brought up to date")]
    Migrate(#[source] Arc<sqlx::migrate::MigrateError>),
    /// PostgreSQL's schema is not this program's.
    #[error("the database's schema is not this program's: {advice}")]
    Schema { advice: &'static str },
    /// Something between drops what a connection to PostgreSQL asks for.
    #[error(
        "PostgreSQL did not get the setting {setting} that the connection asked for: connect to it directly, or through a \
         pooler in session mode that passes startup options"
    )]
    Session { setting: &'static str },
    #[error("{doing} failed")]
    Io { doing: String, source: Arc<std::io::Error> },
    /// An object store could not be reached or did not do what it was asked. Names no credential and no signed URL.
    #[error("{doing} failed ({place}): {why}")]
    ObjectStore { doing: String, place: String, why: String, retryable: bool },
    /// A row or file holds what this program never writes.
    #[error("stored data can't be read: {what}")]
    Corrupt { what: String },
    #[error("{what} is larger than {bytes_max} bytes")]
    TooLarge { what: &'static str, bytes_max: u64 },
    /// A tenant has no room for what was to be stored.
    #[error(transparent)]
    OverQuota(OverQuota),
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            StoreError::Database(_) | StoreError::Io { .. } => true,
            StoreError::ObjectStore { retryable, .. } => *retryable,
            _ => false,
        }
    }

    /// Whether the database could not be reached, so that no statement is at fault.
    pub(crate) fn is_unreachable(&self) -> bool {
        let StoreError::Database(error) = self else { return false };
        match &**error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
            // The server shuts down, starts up, or has ended this connection.
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
            }
            _ => false,
        }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> StoreError {
        let doing = doing.into();
        move |source| StoreError::Io { doing, source: Arc::new(source) }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> StoreError {
        StoreError::Corrupt { what: what.into() }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolClosed => StoreError::Closed,
            error => StoreError::Database(Arc::new(error)),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        StoreError::Migrate(Arc::new(error))
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
