//! A pool's connection, while it is lent.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{PgPool, Postgres};
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a connection may take to go back, which asks its server whether all is well.
const RETURN_TIMEOUT: Duration = Duration::from_secs(3);

/// Goes back to its pool when it is dropped, also in the middle of a question. One whose server says nothing any more is
/// closed instead: left to itself the pool would wait for it as long as TCP does, which is a quarter of an hour, and lend
/// nothing in its place.
#[derive(Debug)]
pub(crate) struct Lent(PoolConnection<Postgres>);

impl Lent {
    pub(super) async fn of(pool: &PgPool) -> Result<Self, sqlx::Error> {
        pool.acquire().await.map(Lent)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let going_back = self.0.return_to_pool();
        // Where nothing can drive it any more, the connection is closed at once.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(RETURN_TIMEOUT, going_back));
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
