//! The concrete parts of a server, from its settings.

use super::python;
use crate::{
    app::App,
    commands::terminal::Terminal,
    config::{SandboxSettings, Settings, memory_bytes},
    identity::Verifier,
    programs::Programs,
    worker::{Worker, WorkerConfig},
};
use anyhow::{Context as _, Result};
use mecapy_model::Lane;
use mecapy_runtime::{Engine, NanPayloads, Sandboxes, SandboxesConfig};
use mecapy_store::{Clock, Store, StoreOptions, SystemClock};
use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::task::JoinHandle;

/// Whether tasks run in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkerRole {
    Embedded,
    Absent,
}

/// A server's parts.
pub(super) struct Composed {
    pub(super) app: Arc<App>,
    /// Set once the interpreter is there.
    worker: Arc<OnceLock<Arc<Worker>>>,
    /// Where the interpreter has to be built first.
    building: Option<JoinHandle<()>>,
    /// Why the server can't go on.
    failure: Arc<Mutex<Option<anyhow::Error>>>,
}

/// What starts once there is an interpreter.
#[derive(Clone)]
struct Rest {
    app: Arc<App>,
    engine: Engine,
    settings: Settings,
    role: WorkerRole,
    worker: Arc<OnceLock<Arc<Worker>>>,
    failure: Arc<Mutex<Option<anyhow::Error>>>,
}

/// Opens the store and starts the sandboxes; the worker and Python follow at once, or when the interpreter is built.
pub(super) async fn compose(settings: &Settings, role: WorkerRole, terminal: &Terminal) -> Result<Composed> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new()?);
    let store = Store::open(StoreOptions::new(&settings.data_dir), clock)
        .await
        .with_context(|| format!("can't use the data folder {}", settings.data_dir.display()))?;
    let recovered = store.recovered();
    tracing::info!(recovered = ?recovered, "serve: the store is open");
    if let Some(key) = store.ensure_admin().await? {
        terminal.note_raw(&format!("An admin key was made: {}\n", key.path.display()));
    }
    let (engine, sandboxes) = start_sandboxes(settings)?;
    let app = App::new(store, sandboxes, settings.requests, settings.public_url.clone());
    if let Some(oidc) = settings.oidc.clone() {
        app.set_identity(Verifier::start(oidc, Arc::clone(app.store.clock())).context("can't check access tokens")?);
    }
    let worker = Arc::new(OnceLock::new());
    let failure = Arc::new(Mutex::new(None));
    let rest = Rest {
        app: Arc::clone(&app),
        engine,
        settings: settings.clone(),
        role,
        worker: Arc::clone(&worker),
        failure: Arc::clone(&failure),
    };
    let building = match python::open(&rest.engine, &settings.cache_dir).await? {
        Some(interpreter) => {
            rest.start(interpreter).await?;
            None
        }
        None => {
            terminal
                .note("The Python interpreter is built first, which takes minutes; until then Python is answered 503.");
            Some(tokio::spawn(rest.build_and_start()))
        }
    };
    Ok(Composed { app, worker, building, failure })
}

fn start_sandboxes(settings: &Settings) -> Result<(Engine, Sandboxes)> {
    let engine = Engine::new(settings.nan_payloads)?;
    let config = sandboxes_config(&settings.sandboxes);
    let sandboxes = Sandboxes::new(&engine, &config).context("can't start sandboxes")?;
    tracing::info!(
        engine.canonical_nans = settings.nan_payloads == NanPayloads::Canonical,
        memory.budget_bytes = config.memory_budget_bytes,
        preview.threads = config.preview_threads,
        default.threads = config.default_threads,
        long_running.threads = config.long_running_threads,
        "serve: the sandboxes are ready"
    );
    Ok((engine, sandboxes))
}

impl Rest {
    async fn build_and_start(self) {
        let cache_dir = self.settings.cache_dir.clone();
        let started = match python::build(&self.engine, &cache_dir).await {
            Ok(interpreter) => self.start(interpreter).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(()) => tracing::info!("serve: the Python interpreter is ready"),
            Err(error) => {
                tracing::error!(error = %format_args!("{error:#}"), "serve: the Python interpreter can't be built");
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                self.app.stopping.cancel();
            }
        }
    }

    /// Python can be run, and the worker claims.
    async fn start(&self, interpreter: mecapy_python::Interpreter) -> Result<()> {
        let store = self.app.store.clone();
        let interpreter = Arc::new(interpreter);
        let programs = Programs::new(Arc::clone(&interpreter), &self.engine, store, &self.settings.cache_dir)?;
        tokio::task::spawn_blocking(move || {
            if let Err(error) = interpreter.load_all() {
                tracing::error!(error = &error as &dyn std::error::Error, "serve: an image can't be used");
            }
        });
        let programs = Arc::new(programs);
        if self.role == WorkerRole::Embedded {
            let worker = Arc::new(self.start_worker(Arc::clone(&programs)));
            self.app.set_worker(Arc::clone(&worker));
            // Nobody else sets it.
            let _ = self.worker.set(worker);
        }
        self.app.set_programs(programs);
        Ok(())
    }

    fn start_worker(&self, programs: Arc<Programs>) -> Worker {
        let store = self.app.store.clone();
        let mut random = [0; 10];
        store.clock().fill_random(&mut random);
        let unix_ms = store.clock().now().unix_timestamp_nanos() / 1_000_000;
        let unix_ms = u64::try_from(unix_ms).unwrap_or(0);
        let id = uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid();
        let config = WorkerConfig { lanes: Lane::ALL.to_vec() };
        Worker::start(store, self.app.sandboxes.clone(), programs, id, config)
    }
}

impl Composed {
    /// Why the server stopped, where it was not told to.
    pub(super) fn take_failure(&self) -> Option<anyhow::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until the server stops, then for what runs.
    pub(super) fn drain_when_stopping(&self, at_most: Duration) -> impl Future<Output = ()> + use<> {
        let (stopping, worker) = (self.app.stopping.clone(), Arc::clone(&self.worker));
        let building = self.building.as_ref().map(JoinHandle::abort_handle);
        async move {
            stopping.cancelled().await;
            if let Some(building) = building {
                building.abort();
            }
            if let Some(worker) = worker.get() {
                worker.drain(at_most).await;
            }
        }
    }
}

fn sandboxes_config(settings: &SandboxSettings) -> SandboxesConfig {
    let default = SandboxesConfig::for_machine(SandboxSettings::cores(), memory_bytes());
    let preview_waiting_max = settings.preview_waiting_max.unwrap_or(default.preview_waiting_max);
    // One tenant never fills the lane, however long it is.
    let waiting_per_tenant = preview_waiting_max.div_ceil(2);
    SandboxesConfig {
        preview_threads: settings.preview_threads.unwrap_or(default.preview_threads),
        preview_running_per_tenant_max: settings
            .preview_per_tenant_max
            .unwrap_or(default.preview_running_per_tenant_max),
        preview_waiting_max,
        preview_waiting_per_tenant_max: waiting_per_tenant,
        default_threads: settings.default_threads.unwrap_or(default.default_threads),
        long_running_threads: settings.long_running_threads.unwrap_or(default.long_running_threads),
        memory_budget_bytes: settings.memory_budget_bytes.unwrap_or(default.memory_budget_bytes),
        ..default
    }
}
