//! From a computation on the command line to a job for this process's sandboxes.

use crate::{
    analysis::{Catalogue, analyse},
    commands::{
        computation::{Computation, FileFlag, ProgramFile},
        refusal::{Misuse, Refusal},
    },
    config::{KernelSettings, Places},
};
use anyhow::Result;
use mecapy_model::{Fault, Lane, Outcome, TenantId, Warning};
use mecapy_python::{Interpreter, Recipe};
use mecapy_runtime::{
    Attempt, Cancel, Ceilings, Engine, FileContent, InputFile, Job, Observer, Program, Sandboxes, SandboxesConfig,
    module::{self, CacheConfig, Compiler, ModuleCache, ModuleError},
};
use mecapy_store::{Clock, SystemClock};
use std::{fs::File, sync::Arc, thread};

/// The folder of compiled modules, in the cache.
const MODULES_FOLDER: &str = "modules";

/// One job needs one thread in each lane, and no queue to speak of.
const THREADS: usize = 1;
const WAITING_MAX: usize = 1;
/// What the budget is sized for: a tenant has half of three quarters of it, so that the one sandbox may have its 4 GiB; the
/// kernel decides whether they are there.
const MEMORY_BYTES_UNKNOWN: u64 = 12 << 30;

/// A job that can be started.
pub(super) struct Prepared {
    engine: Engine,
    kernels: KernelSettings,
    program: Program,
    lane: Lane,
    pub(super) attempt: Attempt,
    /// What the analysis says of the source.
    pub(super) warnings: Vec<Warning>,
}

/// Checks the computation as a server would, and loads what it needs.
pub(super) fn prepare(computation: &Computation, places: &Places) -> Result<Prepared> {
    let lane = Lane::for_timeout(computation.limits.timeout_ms);
    let limits = computation.limits.resolve(lane).map_err(|error| {
        let pointer = format!("/limits/{}", error.field);
        Refusal::of_faults(vec![Fault::new(pointer, "out_of_range", error.to_string())], None)
    })?;
    let files = computation.files.iter().map(open).collect::<Result<Vec<_>>>()?;
    let clock = SystemClock::new()?;
    let seed = computation.seed.unwrap_or_else(|| random_seed(&clock));
    let engine = Engine::new(places.nan_payloads)?;
    let (program, warnings) = match &computation.program {
        ProgramFile::Python { .. } => python_program(&engine, computation, places)?,
        ProgramFile::Wasm { bytes } => wasi_program(&engine, bytes, places)?,
        ProgramFile::Compiled { language, source } => {
            let (title, name) = (language.title(), &source.name);
            let message = format!(
                "{title} is compiled by a server that has a compiler for it: `mecapy preview {name}` sends it there; or \
                 compile it to WASI and run the module"
            );
            return Err(Misuse::new(message).into());
        }
        ProgramFile::Function(reference) => {
            let message = format!("{reference} is published on a server: `mecapy preview '{reference}'` runs it there");
            return Err(Misuse::new(message).into());
        }
    };
    let attempt = Attempt {
        inputs: Arc::from(computation.inputs.get()),
        files,
        limits,
        seed,
        non_finite: computation.non_finite.unwrap_or_default(),
        kernels: computation.kernels.unwrap_or_default(),
        wall_clock: clock.now(),
    };
    Ok(Prepared { engine, kernels: places.kernels, program, lane, attempt, warnings })
}

impl Prepared {
    /// Starts the job. The sandboxes must be held until `done` was called.
    pub(super) fn start(
        self,
        cancel: Cancel,
        observer: Option<Arc<dyn Observer>>,
        done: impl FnOnce(Outcome) + Send + 'static,
    ) -> Result<Sandboxes> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let config = SandboxesConfig {
            preview_threads: THREADS,
            preview_running_per_tenant_max: THREADS,
            preview_waiting_max: WAITING_MAX,
            preview_waiting_per_tenant_max: WAITING_MAX,
            default_threads: THREADS,
            long_running_threads: THREADS,
            ceilings: Ceilings { kernels: self.kernels.instructions(), ..Ceilings::default() },
            ..SandboxesConfig::for_machine(cores, MEMORY_BYTES_UNKNOWN)
        };
        let sandboxes = Sandboxes::new(&self.engine, &config)?;
        let Self { program, lane, attempt, .. } = self;
        // There is one tenant here: whoever called the command.
        let tenant = TenantId::from_parts(0, &[0; 10]);
        sandboxes.submit(Job { program, attempt, lane, tenant, cancel, observer, done: Box::new(done) })?;
        Ok(sandboxes)
    }
}

fn python_program(engine: &Engine, computation: &Computation, places: &Places) -> Result<(Program, Vec<Warning>)> {
    let ProgramFile::Python { source, entry } = &computation.program else { anyhow::bail!("not a Python source") };
    let interpreter = Interpreter::open(engine, &places.cache_dir, &Recipe::bundled()?)?;
    let catalogue = Catalogue::new(interpreter.modules().iter().cloned(), interpreter.unavailable().clone());
    let analysis = analyse(&source.text, entry.as_deref(), &catalogue);
    if !analysis.faults.is_empty() {
        return Err(Refusal::of_faults(analysis.faults, Some(source.clone())).into());
    }
    let image = interpreter.image_for(&analysis.imports)?;
    let (source, entry) = (Arc::from(source.text.as_str()), entry.as_deref().map(Arc::from));
    Ok((Program::Python { image, source, entry }, analysis.warnings))
}

fn wasi_program(engine: &Engine, bytes: &[u8], places: &Places) -> Result<(Program, Vec<Warning>)> {
    let refused = |why: module::Refused| {
        let fault = Fault::new("/code/module", why.code(), why.to_string());
        Refusal::of_faults(vec![fault], None)
    };
    let info = module::inspect(bytes).map_err(refused)?;
    let config = CacheConfig::new(places.cache_dir.join(MODULES_FOLDER), Compiler::new(places.nan_payloads));
    let modules = ModuleCache::open(engine, config)?;
    let module = modules.get(info.digest, || Ok(bytes.to_owned())).map_err(|error| match error {
        ModuleError::Refused(why) => refused(why).into(),
        error => anyhow::Error::from(error),
    })?;
    Ok((Program::Wasi { module, function: None }, info.warnings))
}

fn open(flag: &FileFlag) -> Result<InputFile> {
    let unreadable = |error: std::io::Error| Misuse::new(format!("can't read {}: {error}", flag.path.display()));
    let file = File::open(&flag.path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Misuse::new(format!("{} is not a file", flag.path.display())).into());
    }
    let content = FileContent::File { file: Arc::new(file), bytes: metadata.len() };
    Ok(InputFile { name: flag.name.clone(), content })
}

/// A seed that every JSON reader can hold.
fn random_seed(clock: &SystemClock) -> u64 {
    let mut bytes = [0; 8];
    clock.fill_random(&mut bytes);
    u64::from_le_bytes(bytes) >> 11
}
