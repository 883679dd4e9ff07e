//! Sources in C and Rust: what they were compiled to, and having them compiled for somebody who waits.
//!
//! Knows nothing of HTTP or of containers: a compile is a task of the platform's own, which a worker with an engine
//! carries out.

use crate::programs::{Place, Room};
use mecapy_model::{
    Code, Digest, Kernels, Lane, LimitsRequest, NonFinite, Retry, SourceLanguage, TaskError, TenantId, Ties, Warning,
};
use mecapy_runtime::{compiler::content_key, solver::Toolchain};
use mecapy_store::{
    Compiled, Idempotency, NewTask, Replayed, Store, StoreError, Submission, SubmitError, Submitted, TaskResult,
};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a preview waits for its source to be compiled.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// Previews that wait for a compiler at once, and of them one tenant's.
const WAITING_MAX: usize = 64;
const WAITING_PER_TENANT_MAX: usize = 8;
/// Sources that are remembered to be compiled; then the memory begins anew.
const KNOWN_MAX: usize = 4_096;
/// The highest priority: somebody waits.
const PRIORITY: u8 = 9;
/// What begins the idempotency key of a compile. No request's key has this character.
const KEY_PREFIX: &str = "\u{1}compile ";

/// What is known of sources, and who waits for some.
#[derive(Debug)]
pub struct Compiling {
    known: Mutex<HashMap<(TenantId, Digest), Arc<Known>>>,
    waiting: Room,
    queued_per_tenant_max: u32,
    stopping: CancellationToken,
}

/// A source's module, one of its tenant's.
#[derive(Debug)]
struct Known {
    module: Digest,
    warnings: Vec<Warning>,
    compile_ms: f64,
}

/// A tenant's source, and what compiles it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub tenant: TenantId,
    pub toolchain: &'a Toolchain,
    pub source: &'a str,
}

/// What somebody is told who waits.
#[derive(Debug)]
pub enum Soon {
    /// Known, now or before; `is_new` where it was compiled meanwhile.
    Done { compiled: Compiled, is_new: bool },
    /// The platform could not say.
    Failed(TaskError),
    /// The compiler is still at work, or waits for room.
    Pending,
    /// Nobody is there who could compile it.
    NoWorker,
    /// As many wait as may.
    Full,
}

impl Compiling {
    /// `queued_per_tenant_max`: how many tasks a tenant without a quota of its own may have queued. Nobody waits any more
    /// once the server is `stopping`.
    pub fn new(queued_per_tenant_max: u32, stopping: CancellationToken) -> Self {
        let waiting = Room::new(WAITING_MAX, WAITING_PER_TENANT_MAX);
        Self { known: Mutex::default(), waiting, queued_per_tenant_max, stopping }
    }

    /// What came of the source before; in memory where it was asked for.
    pub async fn known(&self, store: &Store, asked: Asked<'_>) -> Result<Option<Compiled>, StoreError> {
        self.find(store, asked.tenant, content_key(asked.toolchain, asked.source)).await
    }

    /// The same, compiling it where nothing is known.
    ///
    /// # Errors
    /// Why a compile can't be queued: the tenant's quotas, or the store.
    pub async fn soon(&self, store: &Store, asked: Asked<'_>) -> Result<Soon, SubmitError> {
        let key = content_key(asked.toolchain, asked.source);
        if let Some(compiled) = self.find(store, asked.tenant, key).await? {
            return Ok(Soon::Done { compiled, is_new: false });
        }
        let name = asked.toolchain.name();
        if !store.workers().await?.iter().any(|seen| seen.can_compile(Lane::HighPriority, &name)) {
            return Ok(Soon::NoWorker);
        }
        let Some(_place): Option<Place> = self.waiting.try_enter(asked.tenant, 1) else { return Ok(Soon::Full) };
        let until = Instant::now() + WAIT_MAX;
        loop {
            let submitted = self.submit(store, asked, key).await?;
            let task = submitted.task.id;
            let left = until.saturating_duration_since(Instant::now());
            let ended = tokio::select! {
                ended = store.wait(asked.tenant, task, left) => ended?,
                () = self.stopping.cancelled() => return Ok(Soon::Pending),
            };
            if ended.as_ref().is_some_and(|result| !result.state.is_terminal()) {
                return Ok(Soon::Pending);
            }
            let found = self.find(store, asked.tenant, key).await?;
            // Where nothing came of it, the next request for the same begins anew.
            store.forget_compile(asked.tenant, task).await?;
            match (found, ended, submitted.replayed) {
                (Some(compiled), ..) => return Ok(Soon::Done { compiled, is_new: true }),
                (None, Some(TaskResult { error: Some(error), .. }), Replayed::No) => return Ok(Soon::Failed(error)),
                // An earlier one's end, which is forgotten by now.
                _ if left.is_zero() => return Ok(Soon::Pending),
                _ => {}
            }
        }
    }

    async fn find(&self, store: &Store, tenant: TenantId, key: Digest) -> Result<Option<Compiled>, StoreError> {
        let known = self.lock().get(&(tenant, key)).cloned();
        if let Some(known) = known {
            if store.has_module(tenant, known.module).await? {
                let Known { module, warnings, compile_ms } = &*known;
                return Ok(Some(Compiled {
                    outcome: Ok(*module),
                    warnings: warnings.clone(),
                    compile_ms: *compile_ms,
                }));
            }
            self.lock().remove(&(tenant, key));
        }
        let found = store.compiled(tenant, key).await?;
        if let Some(Compiled { outcome: Ok(module), warnings, compile_ms }) = &found {
            let known = Known { module: *module, warnings: warnings.clone(), compile_ms: *compile_ms };
            let mut all = self.lock();
            if all.len() >= KNOWN_MAX {
                all.clear();
            }
            all.insert((tenant, key), Arc::new(known));
        }
        Ok(found)
    }

    /// One task for all who wait for the same source, on whichever server.
    async fn submit(&self, store: &Store, asked: Asked<'_>, key: Digest) -> Result<Submitted, SubmitError> {
        let Asked { tenant, toolchain, source } = asked;
        let idempotency = Some(Idempotency { key: format!("{KEY_PREFIX}{key}"), body_digest: key.0 });
        let task = compile_of(tenant, toolchain.language, source).ok_or_else(|| {
            let what = "the limits of the lane high_priority".to_owned();
            SubmitError::Store(StoreError::Corrupt { what })
        })?;
        store.submit(Submission { task, idempotency, queued_max: self.queued_per_tenant_max }).await
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(TenantId, Digest), Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that compiles and does nothing else. `None` where its lane has no default limits, which each has.
fn compile_of(tenant: TenantId, language: SourceLanguage, source: &str) -> Option<NewTask> {
    let lane = Lane::HighPriority;
    Some(NewTask {
        tenant,
        name: None,
        lane,
        priority: PRIORITY,
        code: Code::Compile { of: language, source: source.to_owned() },
        inputs: RawValue::from_string("{}".to_owned()).ok()?,
        files: BTreeMap::new(),
        limits: LimitsRequest::default().resolve(lane).ok()?,
        retry: Retry::default(),
        seed: 0,
        non_finite: NonFinite::default(),
        kernels: Kernels::default(),
        labels: BTreeMap::new(),
        run_at: None,
        retry_of: None,
        webhook_url: None,
        warnings: Vec::new(),
        ties: Ties::default(),
    })
}

#[cfg(test)]
mod tests;
