//! A claimed task whose source is compiled: what comes of it is one of the tenant's modules, and the task goes on to a
//! sandbox with it.

use super::attempt::{Solve, executor};
use crate::{
    programs::new_module,
    worker::{
        attempt::until_cancelled,
        ending::{Ended, persisted, storage},
        held::Registered,
    },
};
use mecapy_model::{Code, Digest, ErrorKind, Outcome, Source, Task, TaskError, TenantId, Warning};
use mecapy_runtime::module::{inspect, limits::MODULE_BYTES_MAX};
use mecapy_store::{AfterCompile, ArtifactFile, Compiled, NewModule, StoreError, Written};
use serde_json::{json, value::to_raw_value};
use std::{
    collections::HashMap,
    fs::File,
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{sync::OwnedMutexGuard, task::spawn_blocking};

/// Sources that are being compiled by this worker, or wait for the same one.
#[derive(Default)]
pub(super) struct UnderWay(Mutex<HashMap<(TenantId, Digest), Queue>>);

/// Those who want the same source compiled, one after the other; gone once nobody does.
type Queue = Weak<tokio::sync::Mutex<()>>;

/// Whoever has it compiles a source; others with the same one wait, and find what came of it.
type Place = OwnedMutexGuard<()>;

/// What a task with a source finds.
pub(super) enum Turn {
    /// It was compiled before, or can't be.
    Known(Made),
    Ours(Place),
}

/// What came of a source.
pub(super) struct Made {
    key: Digest,
    compiled: Compiled,
    /// Whether it was found here, and is to be written down.
    is_new: bool,
    _turn: Option<Place>,
}

impl UnderWay {
    fn of(&self, tenant: TenantId, key: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, place| place.strong_count() > 0);
        if let Some(known) = all.get(&(tenant, key)).and_then(Weak::upgrade) {
            return known;
        }
        let place = Arc::default();
        all.insert((tenant, key), Arc::downgrade(&place));
        place
    }
}

impl Made {
    /// Holds the place for as long as nobody else can know of it.
    pub(super) fn in_turn(self, turn: Option<Place>) -> Self {
        Self { _turn: turn, ..self }
    }
}

impl Solve {
    /// Waits until nobody else here compiles the same source.
    pub(super) async fn turn(&self, key: Digest) -> Result<Turn, TaskError> {
        let Registered { shared, live } = &self.registered;
        let tenant = self.claimed.task.tenant;
        let entered = async { Ok(self.containers.under_way.of(tenant, key).lock_owned().await) };
        let turn = tokio::select! {
            turn = until_cancelled(&live.cancel, entered) => turn?,
            () = self.containers.told_to_hand_over() => return Err(self.give_back()),
        };
        let known = shared.store.compiled(tenant, key).await.map_err(storage)?;
        Ok(match known {
            Some(compiled) => Turn::Known(Made { key, compiled, is_new: false, _turn: None }),
            None => Turn::Ours(turn),
        })
    }

    /// What a compiler's end comes to; its module is kept as one of the tenant's.
    ///
    /// # Errors
    /// How the task ends where that says nothing of the source: it was cancelled, or the platform failed.
    pub(super) async fn made(&self, key: Digest, ended: Ended, wall: Duration) -> Result<Made, Box<Ended>> {
        let Ended { outcome, files, next_try } = ended;
        let module = match &outcome.result {
            Err(error) if error.kind != ErrorKind::Compile => {
                return Err(Box::new(Ended { outcome, files: Vec::new(), next_try }));
            }
            Err(error) => Err(error.clone()),
            Ok(_) => self.keep(files).await.map_err(|error| Box::new(Outcome::failed(error).into()))?,
        };
        let compile_ms = wall.as_secs_f64() * 1e3;
        let compiled = Compiled { outcome: module, warnings: outcome.warnings, compile_ms };
        Ok(Made { key, compiled, is_new: true, _turn: None })
    }

    /// Checks the module and keeps it. The inner error is the source's, the outer one is not.
    async fn keep(&self, files: Vec<ArtifactFile>) -> Result<Result<Digest, TaskError>, TaskError> {
        let file = files.into_iter().next().ok_or_else(|| executor("the module is gone from the work folder"))?;
        let read = spawn_blocking(move || read(&file.file)).await;
        let checked = read.map_err(|error| executor(error.to_string()))??;
        let module = match checked {
            Ok(module) => module,
            Err(refused) => return Ok(Err(refused)),
        };
        let Registered { shared, live } = &self.registered;
        let kept = persisted(shared, live, || shared.store.put_module(self.claimed.task.tenant, module.clone())).await;
        match kept {
            Ok(kept) => Ok(Ok(kept.digest)),
            Err(StoreError::OverQuota(over)) => {
                let message = format!("the module that the source was compiled to can't be kept: {over}");
                Err(TaskError::new(ErrorKind::Compile, message))
            }
            Err(error) => Err(storage(error)),
        }
    }

    /// Writes down what came of a source; answers how the task ends, where it doesn't go on.
    pub(super) async fn settle(&self, made: Made) -> Option<Ended> {
        let Registered { shared, live } = &self.registered;
        let (store, claim, task) = (&shared.store, &live.claim, &self.claimed.task);
        let Made { key, compiled, is_new, .. } = &made;
        let ended = || Some(end_of(compiled).into());
        if live.is_given_back() || !live.hold.is_trusted() {
            // Either is told, and dealt with, where ends are written.
            return ended();
        }
        let runs = compiled.outcome.as_ref().ok().and_then(|module| with_module(task, *module, &compiled.warnings));
        let write = || async {
            match (*is_new, &runs) {
                (true, Some(task)) => store.record_compiled(claim, (*key, compiled), AfterCompile::Runs(task)).await,
                (true, None) => store.record_compiled(claim, (*key, compiled), AfterCompile::Ends).await,
                (false, Some(task)) => store.run_compiled(claim, task).await,
                (false, None) => Ok(Written::Done),
            }
        };
        match persisted(shared, live, write).await {
            Ok(Written::Done) if runs.is_none() => ended(),
            Ok(Written::Done) => {
                let (compile_ms, is_new) = (compiled.compile_ms, *is_new);
                tracing::info!(task.id = %task.id, %key, compile_ms, is_new, "worker.compile: goes on to a sandbox");
                None
            }
            Ok(Written::Stale) => {
                tracing::warn!(task.id = %task.id, "worker.fence: the task is another worker's by now, nothing is written");
                None
            }
            Err(error) => Some(Outcome::failed(storage(error)).into()),
        }
    }
}

/// The module, checked, or what is wrong with it.
fn read(file: &File) -> Result<Result<NewModule, TaskError>, TaskError> {
    let unreadable = |error: std::io::Error| executor(format!("the module can't be read: {error}"));
    let bytes = usize::try_from(file.metadata().map_err(unreadable)?.len()).unwrap_or(usize::MAX);
    // The adapter has refused what is larger, and nobody writes there any more.
    let mut module = vec![0; bytes.min(MODULE_BYTES_MAX)];
    file.read_exact_at(&mut module, 0).map_err(unreadable)?;
    Ok(match inspect(&module) {
        Ok(info) => Ok(new_module(info, module)),
        Err(refused) => {
            let message = format!("it compiles, and can't be run here: {refused}");
            Err(TaskError::new(ErrorKind::Compile, message))
        }
    })
}

/// The task as it goes on; `None` where compiling was all there was to do.
fn with_module(task: &Task, module: Digest, warnings: &[Warning]) -> Option<Task> {
    if let Code::Compile { .. } = &task.code {
        return None;
    }
    let Source { language, text, .. } = task.code.source()?;
    let code = Code::of_source(language, text.to_owned(), Some(module));
    let warnings = task.warnings.iter().chain(warnings).cloned().collect();
    Some(Task { code, warnings, ..task.clone() })
}

/// How a task ends that was to compile, or whose source can't be compiled.
fn end_of(compiled: &Compiled) -> Outcome {
    let result = match &compiled.outcome {
        Ok(module) => to_raw_value(&json!({"module": module})).map_err(|error| executor(error.to_string())),
        Err(error) => Err(error.clone()),
    };
    let unrun = Outcome::failed(TaskError::new(ErrorKind::Compile, String::new()));
    Outcome { result, warnings: compiled.warnings.clone(), ..unrun }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_source_of_one_tenant_is_compiled_by_one_at_a_time() {
        let (one, other) = (TenantId::from_parts(1, &[1; 10]), TenantId::from_parts(1, &[2; 10]));
        let under_way = UnderWay::default();
        let key = Digest([7; 32]);
        let turn = under_way.of(one, key).lock_owned().await;
        assert!(under_way.of(one, key).try_lock_owned().is_err());
        for (tenant, key) in [(one, Digest([8; 32])), (other, key)] {
            assert!(under_way.of(tenant, key).try_lock_owned().is_ok());
        }
        drop(turn);
        assert!(under_way.of(one, key).try_lock_owned().is_ok());
        under_way.of(other, key);
        assert_eq!(under_way.0.lock().unwrap().len(), 1, "what nobody holds is forgotten");
    }

    #[test]
    fn a_module_is_checked_before_it_is_kept() {
        let file = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, bytes).unwrap();
            file
        };
        let refused = read(&file(b"\0asm\x01\0\0\0")).unwrap().unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Compile);
        assert!(refused.message.starts_with("it compiles, and can't be run here: "), "{}", refused.message);
        let text = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
        let bytes = wat::parse_str(text).unwrap();
        assert_eq!(read(&file(&bytes)).unwrap().unwrap().bytes, bytes);
    }

    #[test]
    fn an_end_has_the_module_or_the_compilers_words() {
        let mut compiled = Compiled { outcome: Ok(Digest([0xab; 32])), warnings: Vec::new(), compile_ms: 1.0 };
        let module = "ab".repeat(32);
        assert_eq!(end_of(&compiled).result.unwrap().get(), format!(r#"{{"module":"{module}"}}"#));
        compiled.outcome = Err(TaskError::new(ErrorKind::Compile, "line 1: no"));
        assert_eq!(end_of(&compiled).result.unwrap_err().message, "line 1: no");
    }
}
