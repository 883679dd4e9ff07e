//! The concrete parts of a process, from its settings.

use super::{python, sandboxes, store};
use crate::{
    app::App,
    commands::terminal::{Style, Terminal},
    config::{ContainerRole, Settings},
    identity::Verifier,
    programs::Programs,
    schedules,
    webhooks::{Dispatcher, Guard, Sender, StoredOutbox},
    worker::{ContainersConfig, Worker, WorkerConfig, WorkerKind},
    workflows::Driver,
};
use anyhow::{Context as _, Result};
use mecapy_runtime::{
    Engine,
    solver::{Adapter, AdapterKind, CalculiX, Catalogue, CodeAster, Plain, Solvers},
};
use mecapy_store::{Clock, Store, SystemClock};
use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::task::JoinHandle;

/// Steps of workflow runs, and firings of schedules, have so long to end.
const DRIVER_DRAIN: Duration = Duration::from_secs(2);

/// A process's parts.
pub(in crate::commands) struct Composed {
    pub(in crate::commands) app: Arc<App>,
    /// Set once the interpreter is there.
    worker: Arc<OnceLock<Arc<Worker>>>,
    /// Set with the worker, where that runs sandboxes.
    driver: Arc<OnceLock<Driver>>,
    /// Likewise.
    schedules: Arc<OnceLock<schedules::Driver>>,
    /// Absent where tasks are all that is done here.
    dispatcher: Option<Arc<Dispatcher>>,
    /// Where the interpreter has to be built first.
    building: Option<JoinHandle<()>>,
    /// Why the process can't go on.
    failure: Arc<Mutex<Option<anyhow::Error>>>,
}

/// What starts once there is an interpreter.
#[derive(Clone)]
struct Rest {
    app: Arc<App>,
    engine: Engine,
    settings: Settings,
    /// `None`: tasks run elsewhere.
    serves: Option<WorkerConfig>,
    worker: Arc<OnceLock<Arc<Worker>>>,
    driver: Arc<OnceLock<Driver>>,
    schedules: Arc<OnceLock<schedules::Driver>>,
    failure: Arc<Mutex<Option<anyhow::Error>>>,
}

/// Opens the store and starts the sandboxes; the worker (where one was asked for) and Python follow at once, or when the
/// interpreter is built.
pub(in crate::commands) async fn compose(
    settings: &Settings,
    serves: Option<WorkerConfig>,
    terminal: &Terminal,
) -> Result<Composed> {
    let (engine, app) = app(settings, terminal).await?;
    let answers = serves.as_ref().is_none_or(|config| config.kind != WorkerKind::Alone);
    let dispatcher = answers.then(|| start_dispatcher(&app.store, &app.guard)).transpose()?;
    if let Some(file) = &settings.solvers {
        app.set_solvers(Arc::new(solvers(file)?));
    }
    // Who answers nobody checks nobody's token, and has no business with the issuer.
    if let Some(oidc) = settings.oidc.clone().filter(|_| answers) {
        app.set_identity(Verifier::start(oidc, Arc::clone(app.store.clock())).context("can't check access tokens")?);
    }
    let worker = Arc::new(OnceLock::new());
    let (driver, schedules) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
    let failure = Arc::new(Mutex::new(None));
    let rest = Rest {
        app: Arc::clone(&app),
        engine,
        settings: settings.clone(),
        serves,
        worker: Arc::clone(&worker),
        driver: Arc::clone(&driver),
        schedules: Arc::clone(&schedules),
        failure: Arc::clone(&failure),
    };
    let building = match python::open(&rest.engine, &settings.cache_dir).await? {
        Some(interpreter) => {
            rest.start(interpreter).await?;
            None
        }
        None => {
            terminal.note("The Python interpreter is built first, which takes minutes; until then no Python runs.");
            Some(tokio::spawn(rest.build_and_start()))
        }
    };
    Ok(Composed { app, worker, driver, schedules, dispatcher, building, failure })
}

/// Opens the store and asks for the engine that containers run on, which may be away; the worker goes on with what it left
/// there. No Python is needed, and none is built.
pub(in crate::commands) async fn compose_containers(
    settings: &Settings,
    role: ContainerRole,
    serves: WorkerConfig,
    terminal: &Terminal,
) -> Result<Composed> {
    let ContainerRole { docker_url, solvers: file, cores, memory_bytes, disk_bytes, runtime, state_dir } = role;
    let solvers = Arc::new(solvers(&file)?);
    let (_, app) = app(settings, terminal).await?;
    app.set_solvers(Arc::clone(&solvers));
    let config = ContainersConfig { docker_url, solvers, cores, memory_bytes, disk_bytes, state_dir, runtime };
    let worker = Worker::start_containers(app.store.clone(), config, worker_id(&app.store), serves).await?;
    let worker = Arc::new(worker);
    if let Some(url) = worker.missing_engine() {
        let waits = terminal.err.paint(Style::Yellow, "Nothing is claimed yet:");
        terminal.note(&format!("{waits} no Docker engine answers at {url}"));
    }
    for missing in worker.missing_images() {
        terminal.note(&format!("{} {missing}", terminal.err.paint(Style::Yellow, "Can't be run yet:")));
    }
    app.set_worker(Arc::clone(&worker));
    let (worker, failure) = (Arc::new(OnceLock::from(worker)), Arc::default());
    // Runs of workflows are advanced, and schedules fired, where sandboxes are: there is an interpreter, which looks at
    // their Python.
    let (driver, schedules) = (Arc::default(), Arc::default());
    Ok(Composed { app, worker, driver, schedules, dispatcher: None, building: None, failure })
}

/// What every process has.
async fn app(settings: &Settings, terminal: &Terminal) -> Result<(Engine, Arc<App>)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new()?);
    let store = store::open(settings, clock, terminal).await?;
    let (engine, sandboxes) = sandboxes::start(settings)?;
    let guard = Guard::new(settings.webhooks.allow.clone(), settings.webhooks.allow_http);
    Ok((engine, App::new(store, sandboxes, settings.requests, settings.public_url.clone(), guard)))
}

/// The solvers that a catalogue names, with what this program understands of them.
fn solvers(file: &Path) -> Result<Solvers> {
    let catalogue = Catalogue::load(file)?;
    tracing::info!(solvers = ?catalogue.names(), "process.solvers: read");
    let adapters: [(AdapterKind, Arc<dyn Adapter>); 3] = [
        (AdapterKind::CodeAster, Arc::new(CodeAster)),
        (AdapterKind::CalculiX, Arc::new(CalculiX)),
        (AdapterKind::Plain, Arc::new(Plain)),
    ];
    Ok(Solvers::new(catalogue, adapters))
}

/// What names a worker.
fn worker_id(store: &Store) -> uuid::Uuid {
    let mut random = [0; 10];
    store.clock().fill_random(&mut random);
    let unix_ms = store.clock().now().unix_timestamp_nanos() / 1_000_000;
    let unix_ms = u64::try_from(unix_ms).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid()
}

/// Webhooks go out from every server; those that share a store share what is due. A worker needs no way out.
fn start_dispatcher(store: &Store, guard: &Guard) -> Result<Arc<Dispatcher>> {
    let sender = Sender::new(guard.clone()).context("can't send webhooks")?;
    Ok(Arc::new(Dispatcher::start(StoredOutbox::new(store.clone()), sender, Arc::clone(store.clock()))))
}

impl Rest {
    async fn build_and_start(self) {
        let cache_dir = self.settings.cache_dir.clone();
        let started = match python::build(&self.engine, &cache_dir).await {
            Ok(interpreter) => self.start(interpreter).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(()) => tracing::info!("process.python: built and ready"),
            Err(error) => {
                tracing::error!(error = %format_args!("{error:#}"), "process.python: can't be built");
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                self.app.stopping.cancel();
            }
        }
    }

    /// Python can be run, and the worker claims.
    async fn start(&self, interpreter: mecapy_python::Interpreter) -> Result<()> {
        let published = (self.app.store.clone(), Arc::clone(&self.app.functions));
        let interpreter = Arc::new(interpreter);
        let programs = Programs::new(
            Arc::clone(&interpreter),
            (&self.engine, self.app.sandboxes.clone()),
            published,
            &self.settings.cache_dir,
        )?;
        tokio::task::spawn_blocking(move || match interpreter.load_all() {
            Ok(()) => tracing::info!("process.python: every image is loaded"),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "process.python: an image can't be used");
            }
        });
        let programs = Arc::new(programs);
        if let Some(config) = self.serves.clone() {
            let worker = Arc::new(self.start_worker(config, Arc::clone(&programs)));
            self.app.set_worker(Arc::clone(&worker));
            // Nobody else sets it.
            let _ = self.worker.set(worker);
        }
        self.app.set_programs(programs);
        if self.serves.is_some() {
            // Nor this.
            let _ = self.driver.set(Driver::start(Arc::clone(&self.app)));
            let _ = self.schedules.set(schedules::Driver::start(Arc::clone(&self.app)));
        }
        Ok(())
    }

    fn start_worker(&self, config: WorkerConfig, programs: Arc<Programs>) -> Worker {
        let store = self.app.store.clone();
        let id = worker_id(&store);
        Worker::start(store, self.app.sandboxes.clone(), programs, id, config)
    }
}

impl Composed {
    /// Why the process stopped, where it was not told to.
    pub(super) fn take_failure(&self) -> Option<anyhow::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until the process stops, then for what runs.
    pub(super) fn drain_when_stopping(&self, at_most: Duration) -> impl Future<Output = ()> + use<> {
        let (stopping, worker) = (self.app.stopping.clone(), Arc::clone(&self.worker));
        let (dispatcher, driver) = (self.dispatcher.clone(), Arc::clone(&self.driver));
        let schedules = Arc::clone(&self.schedules);
        let building = self.building.as_ref().map(JoinHandle::abort_handle);
        async move {
            stopping.cancelled().await;
            if let Some(building) = building {
                building.abort();
            }
            // First: what they start would only be given back.
            if let Some(schedules) = schedules.get() {
                schedules.drain(DRIVER_DRAIN).await;
            }
            if let Some(driver) = driver.get() {
                driver.drain(DRIVER_DRAIN).await;
            }
            let worker = async {
                if let Some(worker) = worker.get() {
                    worker.drain(at_most).await;
                }
            };
            let dispatcher = async {
                if let Some(dispatcher) = dispatcher {
                    dispatcher.drain(at_most).await;
                }
            };
            tokio::join!(worker, dispatcher);
        }
    }
}
