//! A store in a temporary folder, with a clock that the test moves.

use crate::database::TestDatabase;
use mecapy_model::{Code, Kernels, Lane, LimitsRequest, NonFinite, Retry, Task, TaskId, TenantId, Ties, Usage};
use mecapy_store::{ClaimRequest, Claimed, Finish, ManualClock, NewTask, Store, StoreOptions, Submission};
use serde_json::value::RawValue;
use sqlx::{ConnectOptions, Connection, Row};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use time::OffsetDateTime;

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) folder: Arc<TempDir>,
    pub(crate) database: Arc<TestDatabase>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::on(TestDatabase::new().await).await
    }

    /// On PostgreSQL, for what only several processes can show.
    pub(crate) async fn shared() -> Self {
        Self::on(TestDatabase::shared().await).await
    }

    /// On SQLite, for what only one process can have.
    pub(crate) async fn embedded() -> Self {
        Self::on(TestDatabase::embedded()).await
    }

    async fn on(database: TestDatabase) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(ManualClock::at(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap(), 7));
        let database = Arc::new(database);
        let options = database.options(&folder.path().join("data"));
        let store = Store::open(options, clock.clone()).await.unwrap();
        let tenant = store.create_tenant("ours").await.unwrap();
        Self { store, tenant, clock, folder, database }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Another tenant's task, or a task in another lane: change what differs.
    pub(crate) fn submission(&self) -> Submission {
        Submission { task: new_task(self.tenant), idempotency: None, queued_max: 10_000 }
    }

    pub(crate) async fn submit(&self) -> Task {
        self.store.submit(self.submission()).await.unwrap().task
    }

    pub(crate) async fn submit_for(&self, tenant: TenantId, lane: Lane) -> TaskId {
        let task = NewTask { tenant, lane, ..new_task(tenant) };
        self.store.submit(Submission { task, ..self.submission() }).await.unwrap().task.id
    }

    pub(crate) async fn claim(&self, lane: Lane, max: u32) -> Vec<Claimed> {
        self.store.claim(ClaimRequest::new(lane, max)).await.unwrap()
    }

    pub(crate) async fn claim_one(&self) -> Claimed {
        self.claim(Lane::Default, 1).await.pop().expect("something to claim")
    }

    /// Drops the store as a crash would, without a word to the writer, and opens its folder again.
    pub(crate) async fn reopen(self) -> Self {
        let Self { store, tenant, clock, folder, database } = self;
        drop(store);
        let store = open_when_free(database.options(&folder.path().join("data")), clock.clone()).await;
        if database.is_shared() {
            // Nobody takes back at once what another process may be running: its leases have to run out.
            clock.advance(Duration::from_secs(31));
            store.requeue_expired().await.unwrap();
        }
        Self { store, tenant, clock, folder, database }
    }

    /// Writes past the store. What the database refuses changes nothing.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        if let Some(url) = self.database.owner_url() {
            let mut connection = sqlx::postgres::PgConnection::connect(url).await.unwrap();
            sqlx::query("SET mecapy.tenant = '*'").execute(&mut connection).await.unwrap();
            let _ = sqlx::query(sql).execute(&mut connection).await;
            return;
        }
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.data().join("mecapy.db"));
        let options = options.foreign_keys(true).busy_timeout(Duration::from_secs(10));
        let mut connection = options.connect().await.unwrap();
        let _ = sqlx::query(sql).execute(&mut connection).await;
    }

    /// A number that the database's rows give.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        if let Some(url) = self.database.owner_url() {
            let mut connection = sqlx::postgres::PgConnection::connect(url).await.unwrap();
            sqlx::query("SET mecapy.tenant = '*'").execute(&mut connection).await.unwrap();
            return sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
        }
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.data().join("mecapy.db")).read_only(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0)
    }
}

/// Opens a folder that an earlier store may hold for a moment longer.
pub(crate) async fn open_when_free(options: StoreOptions, clock: Arc<ManualClock>) -> Store {
    let attempts = async {
        loop {
            match Store::open(options.clone(), clock.clone()).await {
                Err(mecapy_store::StoreError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(2)).await,
                other => return other.unwrap(),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), attempts).await.expect("the folder is let go")
}

pub(crate) fn new_task(tenant: TenantId) -> NewTask {
    NewTask {
        tenant,
        name: Some("beam".to_owned()),
        lane: Lane::Default,
        priority: 5,
        code: Code::Python { source: "def main(F): return F * 2".to_owned(), entry: None },
        inputs: json(r#"{"F": 1.10}"#),
        files: BTreeMap::new(),
        limits: LimitsRequest::default().resolve(Lane::Default).unwrap(),
        retry: Retry::default(),
        seed: u64::MAX,
        non_finite: NonFinite::Reject,
        kernels: Kernels::default(),
        labels: BTreeMap::new(),
        run_at: None,
        retry_of: None,
        webhook_url: None,
        warnings: Vec::new(),
        ties: Ties::default(),
    }
}

pub(crate) fn finish_with(result: &str) -> Finish {
    Finish {
        result: Ok(json(result)),
        warnings: Vec::new(),
        logs: Vec::new(),
        artifacts: Vec::new(),
        usage: Usage { fuel: 7, memory_peak_bytes: 1 << 20, cpu_ms: 0.5, ..Usage::default() },
    }
}

pub(crate) fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(crate) fn ids(claimed: &[Claimed]) -> Vec<TaskId> {
    claimed.iter().map(|claimed| claimed.task.id).collect()
}
