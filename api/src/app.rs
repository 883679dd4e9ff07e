//! What every request can reach, composed once by `commands/`.

use crate::{
    compiling::Compiling,
    config::RequestLimits,
    functions::Functions,
    identity::{TenantNames, Verifier},
    intake::{Intake, Sight},
    programs::{Programs, Room},
    telemetry::Metrics,
    webhooks::Guard,
    worker::Worker,
    workflows::Definitions,
};
use mecapy_model::{Executor, TaskId};
use mecapy_runtime::{Sandboxes, solver::Solvers};
use mecapy_store::{SeenWorker, Store, StoreError, Viewer};
use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Modules that are inspected and compiled at once: each takes a core and some memory.
const MODULES_AT_ONCE_MAX: usize = 2;
/// Of those, one tenant's.
const MODULES_AT_ONCE_PER_TENANT_MAX: usize = 1;
/// Module bodies that are in memory at once, each as large as a module may be.
const MODULE_BODIES_MAX: usize = 8;
/// Of those, one tenant's.
const MODULE_BODIES_PER_TENANT_MAX: usize = 3;
/// Package bodies that are in memory at once.
const PACKAGE_BODIES_MAX: usize = 8;
/// Of those, one tenant's.
const PACKAGE_BODIES_PER_TENANT_MAX: usize = 3;
/// Packages that are read and tested at once: each is in memory as a whole, and its tests use sandboxes.
const PACKAGES_AT_ONCE_MAX: usize = 4;
/// Of those, one tenant's.
const PACKAGES_AT_ONCE_PER_TENANT_MAX: usize = 1;
/// Answers with a function's output files that are made at once: each has them in memory.
const FILE_ANSWERS_MAX: usize = 8;
/// Of those, one tenant's.
const FILE_ANSWERS_PER_TENANT_MAX: usize = 3;
/// Bodies of batches that are in memory at once, each with the texts of its items beside it.
const BATCH_BODIES_MAX: usize = 4;
/// Of those, one tenant's.
const BATCH_BODIES_PER_TENANT_MAX: usize = 2;
/// Tables, summaries and pictures that are made at once.
const TABLES_MAX: usize = 16;
/// Of those, one tenant's.
const TABLES_PER_TENANT_MAX: usize = 4;
/// Input files that previews hold open at once: each is a descriptor of the process.
const INPUT_FILES_MAX: usize = 512;
/// Of those, one tenant's.
const INPUT_FILES_PER_TENANT_MAX: usize = 256;

/// The state that handlers share.
pub struct App {
    pub store: Store,
    pub sandboxes: Sandboxes,
    pub metrics: Metrics,
    pub limits: RequestLimits,
    /// What clients call this server; `None`: what the request called it.
    pub public_url: Option<String>,
    /// Ends streams and waits when the server stops.
    pub stopping: CancellationToken,
    /// Where modules are inspected and compiled on upload.
    pub module_room: Room,
    /// Where the bodies of module uploads are.
    pub module_bodies: Room,
    /// What the names of tenants in access tokens mean.
    pub tenant_names: TenantNames,
    /// Which URLs webhooks may be sent to.
    pub guard: Guard,
    /// Published functions, as they are found.
    pub functions: Arc<Functions>,
    /// What workflow runs go by.
    pub definitions: Definitions,
    /// Where the bodies of package uploads are.
    pub package_bodies: Room,
    /// Where packages are checked and tested.
    pub package_room: Room,
    /// Where answers are made that hold files of a function.
    pub file_answers: Room,
    /// Where the bodies of batches are.
    pub batch_bodies: Room,
    /// Where tables are written and summed up.
    pub tables: Room,
    compiling: Compiling,
    identity: OnceLock<Verifier>,
    file_places: Room,
    engine: OnceLock<Arc<Programs>>,
    solvers: OnceLock<Arc<Solvers>>,
    worker: OnceLock<Arc<Worker>>,
}

impl App {
    pub fn new(
        store: Store,
        sandboxes: Sandboxes,
        limits: RequestLimits,
        public_url: Option<String>,
        guard: Guard,
    ) -> Arc<Self> {
        let functions = Arc::new(Functions::new(store.clone()));
        let stopping = CancellationToken::new();
        Arc::new(Self {
            functions,
            definitions: Definitions::default(),
            package_bodies: Room::new(PACKAGE_BODIES_MAX, PACKAGE_BODIES_PER_TENANT_MAX),
            package_room: Room::new(PACKAGES_AT_ONCE_MAX, PACKAGES_AT_ONCE_PER_TENANT_MAX),
            store,
            sandboxes,
            metrics: Metrics::new(),
            limits,
            public_url,
            compiling: Compiling::new(limits.queued_per_tenant_max, stopping.clone()),
            stopping,
            module_room: Room::new(MODULES_AT_ONCE_MAX, MODULES_AT_ONCE_PER_TENANT_MAX),
            module_bodies: Room::new(MODULE_BODIES_MAX, MODULE_BODIES_PER_TENANT_MAX),
            tenant_names: TenantNames::default(),
            guard,
            file_answers: Room::new(FILE_ANSWERS_MAX, FILE_ANSWERS_PER_TENANT_MAX),
            batch_bodies: Room::new(BATCH_BODIES_MAX, BATCH_BODIES_PER_TENANT_MAX),
            tables: Room::new(TABLES_MAX, TABLES_PER_TENANT_MAX),
            identity: OnceLock::new(),
            file_places: Room::new(INPUT_FILES_MAX, INPUT_FILES_PER_TENANT_MAX),
            engine: OnceLock::new(),
            solvers: OnceLock::new(),
            worker: OnceLock::new(),
        })
    }

    /// Access tokens are accepted from now on.
    pub fn set_identity(&self, verifier: Verifier) {
        if self.identity.set(verifier).is_err() {
            tracing::warn!("app.identity: set twice, the first stays");
        }
    }

    /// Who checks access tokens; `None`: API keys only.
    pub fn identity(&self) -> Option<&Verifier> {
        self.identity.get()
    }

    /// Programs can be run from now on.
    pub fn set_programs(&self, programs: Arc<Programs>) {
        if self.engine.set(programs).is_err() {
            tracing::warn!("app.programs: set twice, the first stays");
        }
    }

    /// `None` while the interpreter is being built.
    pub fn programs(&self) -> Option<&Arc<Programs>> {
        self.engine.get()
    }

    /// Whether this process can do its work: with the interpreter, or with containers, which need none.
    pub fn can_work(&self) -> bool {
        self.programs().is_some()
            || self.worker.get().is_some_and(|worker| worker.row().executor == Executor::Container)
    }

    /// Whether this process runs containers, has no engine that answers, and no container that it follows.
    pub fn is_idle_without_engine(&self) -> bool {
        self.worker.get().is_some_and(|worker| worker.is_idle_without_engine())
    }

    /// Tasks may name these solvers from now on.
    pub fn set_solvers(&self, solvers: Arc<Solvers>) {
        if self.solvers.set(solvers).is_err() {
            tracing::warn!("app.solvers: set twice, the first stays");
        }
    }

    /// `None` where no catalogue is configured.
    pub fn solvers(&self) -> Option<&Arc<Solvers>> {
        self.solvers.get()
    }

    /// This process runs tasks too.
    pub fn set_worker(&self, worker: Arc<Worker>) {
        if self.worker.set(worker).is_err() {
            tracing::warn!("app.worker: set twice, the first stays");
        }
    }

    /// Stops a task that runs in this process, after the store was told.
    pub fn stop_running(&self, task: TaskId) {
        if let Some(worker) = self.worker.get() {
            worker.cancel(task);
        }
    }

    /// The workers that use the same database, this process's own as it is now.
    pub async fn workers(&self) -> Result<Vec<SeenWorker>, StoreError> {
        let mut seen = self.store.workers().await?;
        if let Some(worker) = self.worker.get() {
            let own = SeenWorker { row: worker.row(), seen_at: self.store.now(), is_lost: false };
            match seen.iter_mut().find(|seen| seen.row.id == own.row.id) {
                Some(seen) => *seen = own,
                None => seen.push(own),
            }
        }
        Ok(seen)
    }

    pub fn intake(&self, viewer: Viewer) -> Intake<'_> {
        let (store, file_places, guard, functions) = (&self.store, &self.file_places, &self.guard, &*self.functions);
        let (programs, solvers, tenant) = (self.programs(), self.solvers(), viewer.tenant);
        let (sight, compiling, kernels) = (Sight::OfViewer, &self.compiling, self.sandboxes.kernels());
        Intake { store, programs, solvers, kernels, tenant, viewer, sight, functions, compiling, file_places, guard }
    }
}
