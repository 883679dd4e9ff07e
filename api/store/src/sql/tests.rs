//! The connection that writes, on a real PostgreSQL server.

#![expect(clippy::disallowed_methods, reason = "tests are told by their environment where the servers are")]

use super::{Conn, Opening, query};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::time::Duration;
use tokio::time::timeout;

/// The URL of a PostgreSQL superuser.
const SERVER_VARIABLE: &str = "MECAPY_TEST_POSTGRES";

async fn process_of(conn: &mut Conn) -> i64 {
    let row = query("SELECT CAST(pg_backend_pid() AS BIGINT)").fetch_one(conn).await.unwrap();
    row.try_get(0).unwrap()
}

#[tokio::test]
async fn a_transaction_whose_end_is_not_known_is_joined_by_no_other() {
    let admin_url = std::env::var(SERVER_VARIABLE).expect("`make test` starts a PostgreSQL server and names it");
    let mut admin = PgConnection::connect(&admin_url).await.unwrap();
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let name = format!("unit_{:016x}", u64::from_le_bytes(random));
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).await.unwrap();
    let (start, rest) = admin_url.split_once("://").unwrap();
    let url = format!("{start}://{}/{name}", rest.split(['/', '?']).next().unwrap());
    crate::migrate(&url, None).await.unwrap();

    let mut conn = Conn::open_postgres(&url).await.unwrap();
    conn.begin(&Opening::default()).await.unwrap();
    let first = process_of(&mut conn).await;
    conn.commit().await.unwrap();
    conn.begin(&Opening::default()).await.unwrap();
    assert_eq!(process_of(&mut conn).await, first, "what ended well is used again");
    let half = "INSERT INTO doomed_objects (object_key) VALUES ('half')";
    query(half).execute(&mut conn).await.unwrap();
    // Nobody waits for its end, and the end of the transaction waits for it.
    let slow = query("SELECT 1 FROM pg_sleep(10)").fetch_one(&mut conn);
    assert!(timeout(Duration::from_millis(200), slow).await.is_err());
    conn.roll_back().await;
    conn.begin(&Opening::default()).await.unwrap();
    assert_ne!(process_of(&mut conn).await, first);
    conn.commit().await.unwrap();
    let found = query("SELECT count(*) FROM doomed_objects").fetch_one(&mut conn).await.unwrap();
    assert_eq!(found.count(0).unwrap(), 0);
    conn.close().await.unwrap();
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
}
