//! Opening a data folder, and the ways in: a pool that reads, a queue to the one connection that writes.

use crate::access::Keys;
use crate::cluster;
use crate::folder::DataFolder;
use crate::ids::IdSource;
use crate::modules::KnownModules;
use crate::shared::Shared;
use crate::spent::Spent;
use crate::sql::{Conn, Dialect, Reader, Readers, migrate, query};
use crate::writer::{self, CALLS_MAX, Call, Inbox, LostAttempt, Op, PREVIEW_USAGE_MAX, Writer};
use crate::{
    Actor, Bus, BusAddress, Clock, LaneCount, Objects, ObjectsAddress, ObjectsOptions, PreviewUsage, Quota, Recovered,
    Signer, StoreError,
};
use mecapy_model::TenantId;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What copies of a bucket's objects may take together where nothing else is said, in bytes.
const SPOOL_BYTES_MAX: u64 = 4 << 30;

/// Which database holds the rows.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Database {
    /// A SQLite file in the data folder, which one process has to itself.
    #[default]
    Embedded,
    /// A PostgreSQL server that many processes share, by its `postgres://` URL.
    Postgres(String),
}

/// The URL may hold a password.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Database::Embedded => "Embedded",
            Database::Postgres(_) => "Postgres(…)",
        })
    }
}

/// Where a store lives and what it allows.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub data_dir: PathBuf,
    pub database: Database,
    /// How processes that share a database tell one another what is worth a look; without it they look each second.
    pub bus: Option<BusAddress>,
    /// Where objects are; a folder in `data_dir` as a rule. Processes that share a database share these too.
    pub objects: ObjectsOptions,
    /// Connections that read at the same time.
    pub read_connections: u32,
    /// A task that the platform lost so many times ends with `worker_lost`.
    pub lost_attempts_max: u32,
    /// How long a claim holds without a heartbeat.
    pub lease: Duration,
    /// The longest result, in bytes of JSON.
    pub result_bytes_max: usize,
    /// The longest log of one task, in bytes.
    pub log_bytes_max: u64,
    /// What holds for tenants without limits of their own; what is absent has no limit.
    pub quota: Quota,
}

impl StoreOptions {
    /// The defaults: a SQLite file, 4 readers, 10 lost attempts, leases of 30 s, results up to 16 MiB, logs up to 4 MiB,
    /// tenants without limits.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        let objects = ObjectsOptions {
            address: ObjectsAddress::Folder(DataFolder::objects_folder(&data_dir)),
            credentials: None,
            spool_folder: DataFolder::spool_folder(&data_dir),
            spool_bytes_max: SPOOL_BYTES_MAX,
        };
        Self {
            data_dir,
            database: Database::Embedded,
            bus: None,
            objects,
            read_connections: 4,
            lost_attempts_max: 10,
            lease: Duration::from_secs(30),
            result_bytes_max: 16 << 20,
            log_bytes_max: 4 << 20,
            quota: Quota::default(),
        }
    }
}

/// Everything durable of one server. Cheap to clone; the last clone lets the data folder go.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// In whose name the audit log is written; `None`: the platform's.
    actor: Option<Arc<Actor>>,
}

struct Inner {
    options: Arc<StoreOptions>,
    clock: Arc<dyn Clock>,
    ids: IdSource,
    readers: Readers,
    calls: mpsc::Sender<Op>,
    preview_usage: mpsc::Sender<PreviewUsage>,
    preview_usage_drops: AtomicU64,
    shared: Arc<Shared>,
    objects: Objects,
    signer: Signer,
    keys: Arc<Keys>,
    spent: Spent,
    known_modules: Arc<KnownModules>,
    recovered: Recovered,
    admin_key_file: PathBuf,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a store: the data folder is made where it is missing. An embedded database is brought up to date, and what
    /// an earlier process was running is taken back; PostgreSQL's schema must be this program's (see [`migrate`]).
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process has the folder, [`StoreError::Schema`] where the schema is another,
    /// [`StoreError::Session`] where a pooler between drops what a connection asks for.
    ///
    /// [`migrate`]: crate::migrate
    pub async fn open(options: StoreOptions, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
        let options = Arc::new(options);
        let Opened { mut conn, readers, folder, signing_key } = open_database(&options, &clock).await?;
        let signer = Signer::new(&signing_key);
        let objects = Objects::connect(options.objects.clone(), signer.clone(), clock.clone())?;
        let alone = conn.dialect() == Dialect::Sqlite;
        if alone {
            objects.drop_unfinished().await?;
        }
        let bus = options.bus.as_ref().filter(|_| !alone).map(|address| Bus::connect(address, clock.clone()));
        let shared = Arc::new(Shared::new(alone, bus));
        let keys = Arc::new(Keys::load(&mut conn).await?);
        let mut writer = Writer::new(conn, shared.clone(), clock.clone(), options.clone()).await?;
        let (recovered, lost) = writer.recover().await?;
        let (calls, calls_in) = mpsc::channel(CALLS_MAX);
        let (preview_usage, preview_usage_in) = mpsc::channel(PREVIEW_USAGE_MAX);
        let admin_key_file = folder.admin_key_file();
        writer::start(writer, Inbox { calls: calls_in, preview_usage: preview_usage_in }, folder)?;
        let ids = IdSource::new(clock.clone());
        let inner = Inner {
            options,
            clock,
            ids,
            readers,
            calls,
            preview_usage,
            preview_usage_drops: AtomicU64::new(0),
            shared,
            objects,
            signer,
            keys,
            spent: Spent::default(),
            known_modules: Arc::default(),
            recovered,
            admin_key_file,
        };
        let store = Store { inner: Arc::new(inner), actor: None };
        if alone {
            store.tidy_up_after_predecessor(lost).await;
        } else {
            cluster::follow(&store);
        }
        Ok(store)
    }

    /// Writes what is still waiting, closes the database and lets the folder go. Calls after it answer [`StoreError::Closed`].
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.inner.calls.send(Op::Close(reply)).await.is_ok() {
            // An error means that the writer has ended already.
            let _ = closed.await;
        }
        if let Some(bus) = self.shared().bus() {
            bus.close().await;
        }
        self.inner.readers.close().await;
    }

    /// The same store, whose changes stand in the audit log in the name of `actor`.
    #[must_use]
    pub fn acting_for(&self, actor: Actor) -> Store {
        Store { inner: Arc::clone(&self.inner), actor: Some(Arc::new(actor)) }
    }

    /// What opening the folder did with the tasks that were running.
    pub fn recovered(&self) -> Recovered {
        self.inner.recovered
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    pub fn objects(&self) -> &Objects {
        &self.inner.objects
    }

    pub fn signer(&self) -> &Signer {
        &self.inner.signer
    }

    /// Whether a read and a write go through.
    pub async fn ping(&self) -> Result<(), StoreError> {
        query("SELECT 1").fetch_one(self.readers()).await?;
        self.write_rarely(async |writer| {
            // Changes nothing, but takes the write lock and a commit.
            writer.run(query("UPDATE tasks SET no = no WHERE no = -1")).await.map(drop)
        })
        .await
    }

    /// Live tasks per lane, of all tenants; in memory.
    pub fn lane_counts(&self) -> Vec<LaneCount> {
        self.shared().counts().lane_counts(None)
    }

    /// Live tasks of one tenant per lane; in memory.
    pub fn tenant_counts(&self, tenant: TenantId) -> Vec<LaneCount> {
        self.shared().counts().lane_counts(Some(tenant))
    }

    /// Whether other processes may use the same database.
    pub fn is_shared(&self) -> bool {
        self.dialect() == Dialect::Postgres
    }

    pub(crate) fn downgrade(&self) -> WeakStore {
        WeakStore(Arc::downgrade(&self.inner))
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.inner.options
    }

    pub(crate) fn ids(&self) -> &IdSource {
        &self.inner.ids
    }

    /// How long a claim holds without a heartbeat.
    pub fn lease(&self) -> Duration {
        self.inner.options.lease
    }

    /// Connections that read for the process itself.
    pub(crate) fn readers(&self) -> &Readers {
        &self.inner.readers
    }

    /// A connection that reads for a tenant.
    pub(crate) async fn reader(&self, tenant: TenantId) -> Result<Reader<'_>, StoreError> {
        self.inner.readers.of(tenant).await
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.inner.readers.dialect()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn keys(&self) -> &Arc<Keys> {
        &self.inner.keys
    }

    pub(crate) fn actor(&self) -> Option<Arc<Actor>> {
        self.actor.clone()
    }

    pub(crate) fn spent(&self) -> &Spent {
        &self.inner.spent
    }

    pub(crate) fn known_modules(&self) -> &Arc<KnownModules> {
        &self.inner.known_modules
    }

    pub(crate) fn admin_key_file(&self) -> &Path {
        &self.inner.admin_key_file
    }

    pub(crate) fn preview_usage(&self) -> &mpsc::Sender<PreviewUsage> {
        &self.inner.preview_usage
    }

    pub(crate) fn preview_usage_drops(&self) -> &AtomicU64 {
        &self.inner.preview_usage_drops
    }

    /// Hands a call to the writer and waits for its answer, which follows the commit.
    pub(crate) async fn write<O>(
        &self,
        op: impl FnOnce(oneshot::Sender<Result<O, StoreError>>) -> Op,
    ) -> Result<O, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.inner.calls.send(op(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Has the writer run `work` within its transaction. It may run twice: the first time may be rolled back.
    pub(crate) async fn write_rarely<O: Send + 'static>(
        &self,
        work: impl AsyncFn(&mut Writer) -> Result<O, StoreError> + Send + 'static,
    ) -> Result<O, StoreError> {
        self.write(|reply| Op::Rare(Box::new(Call::new(work, reply)))).await
    }

    /// The same without waiting; left out where too much waits for the writer already.
    pub(crate) fn write_behind<O: Send + 'static>(
        &self,
        work: impl AsyncFn(&mut Writer) -> Result<O, StoreError> + Send + 'static,
    ) {
        let (reply, _) = oneshot::channel();
        // What is worth waiting for is written another way.
        let _ = self.inner.calls.try_send(Op::Rare(Box::new(Call::new(work, reply))));
    }

    async fn tidy_up_after_predecessor(&self, lost: Vec<LostAttempt>) {
        let Recovered { requeued, failed, cancelled } = self.inner.recovered;
        if requeued + failed + cancelled > 0 {
            tracing::info!(
                tasks.requeued = requeued,
                tasks.failed = failed,
                tasks.cancelled = cancelled,
                "took back what the server before this one was running"
            );
        }
        self.delete_lost_objects(lost).await;
        self.sweep_objects().await;
    }
}

/// A store as its own background work holds it.
pub(crate) struct WeakStore(Weak<Inner>);

impl WeakStore {
    /// `None` once nobody else uses the store.
    pub(crate) fn upgrade(&self) -> Option<Store> {
        self.0.upgrade().map(|inner| Store { inner, actor: None })
    }
}

/// A database that is ready, with what else comes from it.
struct Opened {
    conn: Conn,
    readers: Readers,
    folder: DataFolder,
    signing_key: [u8; 32],
}

async fn open_database(options: &StoreOptions, clock: &Arc<dyn Clock>) -> Result<Opened, StoreError> {
    match &options.database {
        Database::Embedded => {
            let folder = DataFolder::open(&options.data_dir)?;
            let signing_key = folder.signing_key(&**clock)?;
            let file = folder.database_file()?;
            let mut conn = Conn::open_sqlite(&file).await?;
            migrate(&mut conn).await?;
            let readers = Readers::open_sqlite(&file, options.read_connections).await?;
            Ok(Opened { conn, readers, folder, signing_key })
        }
        Database::Postgres(url) => {
            let folder = DataFolder::open_shared(&options.data_dir)?;
            let mut conn = Conn::open_postgres(url).await?;
            conn.must_be_current().await?;
            let signing_key = cluster::signing_key(&mut conn, &**clock).await?;
            let readers = Readers::open_postgres(url, options.read_connections).await?;
            Ok(Opened { conn, readers, folder, signing_key })
        }
    }
}
