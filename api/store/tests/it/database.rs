//! Where a test's rows are: a SQLite file in its own folder, or a database of its own on a PostgreSQL server, used by a
//! role that is neither superuser nor owner, as row security asks.

#![expect(clippy::disallowed_methods, reason = "tests are told by their environment where the servers are")]

use mecapy_store::{Database, StoreOptions, migrate};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::path::Path;

/// `shared`: every test that can runs on PostgreSQL.
const BACKEND_VARIABLE: &str = "MECAPY_TEST_BACKEND";
/// The URL of a PostgreSQL superuser.
const SERVER_VARIABLE: &str = "MECAPY_TEST_POSTGRES";
const DROPPED_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
/// Both are made once for the server.
const ROLES: &str = "DO $$ BEGIN \
    PERFORM pg_advisory_xact_lock(7); \
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'mecapy_it_owner') THEN \
        CREATE ROLE mecapy_it_owner LOGIN PASSWORD 'owner' NOSUPERUSER NOBYPASSRLS; \
        CREATE ROLE mecapy_it_app LOGIN PASSWORD 'app' NOSUPERUSER NOBYPASSRLS; \
    END IF; END $$";

pub(crate) struct TestDatabase(Option<Postgres>);

/// One database of the server.
struct Postgres {
    admin_url: String,
    name: String,
    owner_url: String,
    app_url: String,
}

impl TestDatabase {
    /// Of the kind that the environment asks for.
    pub(crate) async fn new() -> Self {
        let shared = std::env::var(BACKEND_VARIABLE).is_ok_and(|backend| backend == "shared");
        if shared { Self::shared().await } else { Self::embedded() }
    }

    /// On SQLite, whatever the environment asks for.
    pub(crate) fn embedded() -> Self {
        Self(None)
    }

    /// On PostgreSQL, whatever the environment asks for.
    pub(crate) async fn shared() -> Self {
        Self(Some(Postgres::new().await))
    }

    pub(crate) fn options(&self, data: &Path) -> StoreOptions {
        let options = StoreOptions::new(data);
        match &self.0 {
            None => options,
            Some(postgres) => StoreOptions { database: Database::Postgres(postgres.app_url.clone()), ..options },
        }
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn owner_url(&self) -> Option<&str> {
        self.0.as_ref().map(|postgres| postgres.owner_url.as_str())
    }

    pub(crate) fn app_url(&self) -> &str {
        self.0.as_ref().map(|postgres| postgres.app_url.as_str()).unwrap()
    }
}

impl Postgres {
    async fn new() -> Self {
        let admin_url = std::env::var(SERVER_VARIABLE).unwrap_or_else(|_| {
            panic!("{SERVER_VARIABLE} is not set: it is the URL of a PostgreSQL superuser; `make test` starts a server and sets it")
        });
        let mut admin = PgConnection::connect(&admin_url).await.unwrap();
        admin.execute(ROLES).await.unwrap();
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        let name = format!("it_{:016x}", u64::from_le_bytes(random));
        admin
            .execute(AssertSqlSafe(format!("CREATE DATABASE {name} OWNER mecapy_it_owner TEMPLATE template0")))
            .await
            .unwrap();
        let url = |role: &str, password: &str| {
            let (start, rest) = admin_url.split_once("://").unwrap();
            let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
            let host = place.split('/').next().unwrap();
            format!("{start}://{role}:{password}@{host}/{name}")
        };
        let (owner_url, app_url) = (url("mecapy_it_owner", "owner"), url("mecapy_it_app", "app"));
        migrate(&owner_url, Some("mecapy_it_app")).await.unwrap();
        Self { admin_url, name, owner_url, app_url }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let (admin_url, name) = (self.admin_url.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&admin_url).await.unwrap();
                admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
            });
        });
        // PostgreSQL waits for connections that are being made, which this thread may be the one to drive: it is not
        // held up for long. A database that stays goes with its server.
        let started = std::time::Instant::now();
        while !dropping.is_finished() && started.elapsed() < DROPPED_WITHIN {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
